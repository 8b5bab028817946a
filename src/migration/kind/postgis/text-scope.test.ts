import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeBundle } from '../../bundle.ts';
import { wayBackScopeFindings } from './text-scope.ts';

async function outOfScope(rollback: string): Promise<readonly string[]> {
  const root = await mkdtemp(join(tmpdir(), 'varve-scope-'));
  try {
    const written = await writeBundle(root, {
      declaration: {
        migration_id: 'PG-MIG-2026-05-12-01',
        type: 'postgis',
        intent: 'For a test.',
        scope: {
          allowed_schemas: ['lab'],
          allowed_tables: ['plot', 'lab.shot'],
          forbidden_schemas: ['secret'],
          forbidden_tables: ['payroll'],
        },
        limits: {},
        requires_rollback: true,
        approvals: { required_reviewers: ['group:approvers'], change_class: 'routine' },
        artifacts: { forward: ['forward.sql'], rollback: ['rollback.sql'] },
      },
      files: { 'forward.sql': 'select 1;', 'rollback.sql': rollback, 'notes.md': '# Why\n\nFor a test.\n' },
    });
    if (written.status === 'refused') throw new Error(JSON.stringify(written.findings));
    return (await wayBackScopeFindings(written.bundle)).map(({ subject }) => subject);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

it.each([
  ['update plot set a = 1; delete from lab.shot; drop index some_index; drop view lab.seen', []],
  ['drop table plot; alter table lab.plot drop column a', []],
  ['update other set a = 1; update other set a = 2', ['other']],
  ['truncate far.plot', ['far.plot']],
  ['insert into payroll values (1)', ['payroll']],
  ['drop index secret.some_index; drop view far.seen', ['secret.some_index', 'far.seen']],
  ['with gone as (delete from varve.ledger returning 1) select * from gone', ['varve.ledger']],
])('M105 R2 a way back is held to its scope by its text: %s', async (rollback, subjects) => {
  expect(await outOfScope(rollback)).toEqual(subjects);
});
