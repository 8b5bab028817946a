export { draftDocuments } from './draft.ts';
export type { Allowed, DocumentEngine, Documents, Reach } from './engine.ts';
export { documentKind } from './kind.ts';
