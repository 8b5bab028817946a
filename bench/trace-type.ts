// The document type that is measured, in a module of its own for threads that load it.
import { defineDocument, op, step, type DocumentType } from '../src/document/index.ts';
import type { Json } from '../src/base/index.ts';

const TEXT = { type: 'string' } as const;
const NUMBER = { type: 'number' } as const;
const SPAN = { type: 'object', required: ['id'], properties: { id: TEXT, kind: TEXT, ms: NUMBER } } as const;
const TRACE = {
  type: 'object',
  required: ['schema_version', 'trace_id', 'name', 'timing', 'spans'],
  properties: {
    schema_version: TEXT,
    trace_id: TEXT,
    name: TEXT,
    timing: { type: 'object', properties: { seconds: NUMBER } },
    spans: { type: 'array', items: SPAN },
  },
} as const;
const LEGACY = {
  type: 'object',
  required: ['trace_id', 'title', 'spans'],
  properties: { trace_id: TEXT, title: TEXT, spans: { type: 'array', items: SPAN } },
} as const;

const VERSIONS = { '0.0.1': { schema: LEGACY }, '1.0.0': {}, '2.0.0': {} } as const;

/** Traces with two steps, and where their provenance goes. */
export function traces(policy: { readonly isBeside: boolean }): DocumentType<unknown> {
  return defineDocument('trace', {
    schema: TRACE,
    current: '2.0.0',
    version: { missing: '0.0.1', order: 'semver' },
    versions: VERSIONS,
    steps: [
      step('0.0.1', '1.0.0', [op.rename('/title', 'name')]),
      step('1.0.0', '2.0.0', [op.add('/timing', { seconds: 0 }), op.rename('/who', 'actor')]),
    ],
    policy: policy.isBeside ? { provenance: 'beside', residue: 'beside' } : {},
  });
}

/** A trace of 1.1 KB that says no version. */
export function legacyTrace(at: number): Json {
  const spans = Array.from({ length: 9 }, (_, span) => ({
    id: `span-${at}-${span}`,
    kind: span % 2 === 0 ? 'client' : 'server',
    ms: span * 13 + (at % 7) / 2,
    attributes: { region: 'eu-central', retry: span, sampled: true },
  }));
  return { trace_id: `trace-${at}`, title: `request ${at}`, who: 'someone', tag: 'x', spans };
}

/** The one that threads load. */
export const trace: DocumentType<unknown> = traces({ isBeside: false });
