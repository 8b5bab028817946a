export { draftDocuments } from './draft.ts';
export { MOST_CONNECTIONS } from './bundle-document.ts';
export type { ColumnSource, FileSource, ForwardDocument, Source, SqliteSource } from './bundle-document.ts';
export type { Allowed, DocumentEngine, Documents, DocumentState, Reach } from './engine.ts';
export { documentKind } from './kind.ts';
