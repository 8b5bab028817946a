export type { MigrateFileOptions } from './file-run.ts';
export { migrateFile, type MigrateFileResult } from './migrate-file.ts';
export { readCorpus } from './read-corpus.ts';
