import { expect, it } from 'vitest';
import { manifestEntry } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { notesFindings } from './notes.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const HEADINGS = ['Why', 'Risks', 'Rollout', 'Rollback', 'Rollback verification'];
const NOTES = HEADINGS.map((heading) => `# ${heading}\n\nSaid.\n`).join('\n');

function lacking(text: string, backfill = 0): readonly unknown[] {
  const bytes = new TextEncoder().encode(text);
  const bundle = {
    id: 'PG-MIG-2026-03-01-01',
    kind: 'postgis',
    folder: '',
    documents: {},
    digest: manifestEntry('x', bytes).digest,
    files: [{ ...manifestEntry('notes.md', bytes), bytes }],
    declaration: {
      migration_id: 'PG-MIG-2026-03-01-01',
      type: 'postgis',
      intent: 'x',
      scope: { allowed_schemas: [], allowed_tables: [], forbidden_schemas: [], forbidden_tables: [] },
      limits: { max_row_backfill: backfill },
      requires_rollback: true,
      approvals: { required_reviewers: ['group:approvers'], change_class: 'routine' },
      artifacts: { forward: ['forward.sql'], rollback: ['rollback.sql'] },
    },
  } satisfies Bundle;
  return notesFindings(bundle, DEFAULT_SETTINGS).map(({ detail }) =>
    JSON.stringify([detail['heading'], detail['reason']])
      .replaceAll(/[[\]"]/gu, '')
      .replace(',', ' '),
  );
}

it('M45 the notes have their headings, with something under each', () => {
  expect(lacking(NOTES)).toEqual([]);
  expect(lacking(NOTES.replaceAll('# ', '## ').replaceAll('\n', '\r\n'))).toEqual([]);
  expect(lacking('')).toEqual(HEADINGS.map((heading) => `${heading} missing`));
  expect(lacking(NOTES.replace('# Risks\n\nSaid.', '# Risks\n'))).toEqual(['Risks empty']);
  expect(lacking(NOTES.replace('# Risks\n\nSaid.', '# Risks\n\nTODO'))).toEqual(['Risks empty']);
  expect(lacking(NOTES.replace('# Risks\n\nSaid.', '# Risks\n\n<!-- Said. -->'))).toEqual(['Risks empty']);
  expect(lacking(NOTES.replace('# Risks', '```\n# Risks').replace('# Rollout', '```\n# Rollout'))).toEqual([
    'Risks missing',
  ]);
  expect(lacking(NOTES.replace('# Risks', '<!--\n# Risks').replace('# Rollout', '-->\n# Rollout'))).toEqual([
    'Risks missing',
  ]);
});

it('M45 M59 a large backfill has stages and monitoring', () => {
  expect(lacking(NOTES, 99_999)).toEqual([]);
  expect(lacking(NOTES, 100_000)).toEqual(['Stages missing', 'Monitoring missing']);
  expect(lacking(`${NOTES}# Stages\n\nTen.\n\n# Monitoring\n\nLocks.\n`, 100_000)).toEqual([]);
});

it('M45 is quick with hostile text', () => {
  const begin = performance.now();
  lacking('<!--'.repeat(20_000));
  lacking(`# ${' '.repeat(20_000)}x${' '.repeat(20_000)}\n`.repeat(3));
  lacking('#'.repeat(50_000));
  expect(performance.now() - begin).toBeLessThan(5_000);
});
