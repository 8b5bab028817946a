/**
 * What a page does with documents: reads old ones, moves them up and down, by value and by text, and says what is wrong. The
 * test runs it in a browser and in Node, and wants the same words of both.
 */
import { code, defineDocument, op, step } from 'varve/document';

const NOW = { now: '2026-05-12T00:00:00.000Z' };

const note = defineDocument('note', {
  schema: {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string' }, size: { type: 'number' }, at: { type: 'string' } },
  },
  current: '1.2.0',
  version: { missing: '0.0.1', order: 'semver' },
  versions: { '0.0.1': {}, '1.0.0': {}, '1.2.0': {} },
  steps: [
    step('0.0.1', '1.0.0', [
      op.rename('/title', 'name'),
      op.remove('/draft'),
      op.convert('/at', { epoch: 's' }),
    ]),
    code('1.0.0', '1.2.0', {
      up: ({ parts, ...rest }, { id, assume }) => ({
        ...rest,
        id: id('note', rest['name'] ?? ''),
        count: Array.isArray(parts) ? parts.length : assume('/count', 0, 'nobody counted'),
      }),
      down: ({ id: _id, count: _count, ...rest }) => rest,
      loss: 'residue',
      revision: 1,
    }),
  ],
});

const old = { title: 'Ünïcode \ud83d\ude00', draft: { deep: [1, 2] }, at: 1_700_000_000, parts: ['a'] };
const TEXT = '{"title":"a","n":9007199254740993,"z":-0,"lone":"\\ud800","__proto__":{"x":1.0}}\n';

/** All of it as one text. */
export async function pageText(): Promise<string> {
  const up = note.validateWithMigration(old, NOW);
  const down =
    up.status === 'migrated' ? note.migrate(up.document, '0.0.1', { ...NOW, allowLossy: true }) : up;
  const text = note.migrateText(new TextEncoder().encode(TEXT), '1.0.0', NOW);
  const coverage = await note.coverage(
    [old, { title: 3 }, { schema_version: 7 }].map((document, at) => ({ id: String(at), document })),
    '1.2.0',
    NOW,
  );
  return JSON.stringify({
    findings: note.findings(),
    up,
    down,
    text: text.status === 'migrated' ? new TextDecoder().decode(text.document) : text,
    refused: note.migrate({ title: 3 }, undefined, NOW),
    newer: note.migrate({ schema_version: '9.0.0' }),
    compat: note.compat('1.0.0', '1.2.0', 'BACKWARD'),
    coverage,
  });
}
