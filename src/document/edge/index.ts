export type { MigrateFileOptions, WorkerOptions } from './file-run.ts';
export { migrateFile, type MigrateFileResult } from './migrate-file.ts';
export { readCorpus } from './read-corpus.ts';
