export { defineConfig, type ProjectConfig, type StoreConfig } from './config.ts';
export { main } from './main.ts';
