// A document type in a module of its own, for threads that load it by its URL.
import { threadId } from 'node:worker_threads';
import { defineDocument, op, step, type DocumentType, type Op } from 'varve/document';

function noteType(name: string, ops: readonly Op[]): DocumentType<unknown> {
  return defineDocument(name, {
    schema: { type: 'object', properties: { name: { type: 'string' } } },
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', ops)],
    policy: { limits: { sizeBytes: 1000, depth: 50 } },
  });
}

export const note: DocumentType<unknown> = noteType('note', [
  op.rename('/title', 'name'),
  op.remove('/draft'),
]);

/** Another type in each thread. */
export const fickle: DocumentType<unknown> = noteType('fickle', [op.rename('/title', `name-${threadId}`)]);
