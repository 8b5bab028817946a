export { objectSettings, openObjects } from './open.ts';
