import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { embeddedStore } from '../../src/store/postgres/index.ts';
import { createCliProject } from './cli-project.ts';

const FILES: Readonly<Record<string, string>> = {
  'documents.ts': `
import { defineDocument, op, step } from 'varve/document';
const old = { type: 'object', required: ['title'], properties: { title: { type: 'string' } } } as const;
export const trace = defineDocument('trace', {
  schema: { type: 'object', required: ['name'], properties: { name: { type: 'string', maxLength: 5 } } },
  current: '1.0.0',
  version: { missing: '0.0.1', order: 'semver' },
  versions: { '0.0.1': { schema: old, adds: 'the first traces' }, '1.0.0': { adds: 'title is called name' } },
  steps: [step('0.0.1', '1.0.0', [op.rename('/title', 'name')])],
});
`,
  'traces.jsonl': '{"title":"one","n":1.0}\n{"title":"too long"}\n{"schema_version":"1.0.0","name":"two"}\n',
  'old.json': '{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"}}}',
  'new.json': '{"type":"object","properties":{"a":{"type":"string"},"c":{"type":"integer"}}}',
};

describe('varve document', () => {
  it('check says whether the types hold together', async () => {
    await using project = await createCliProject({
      ...FILES,
      'broken.ts': (FILES['documents.ts'] ?? '').replace('steps: [', 'steps: [step("1.0.0", "1.0.0", []), '),
    });
    const { exit, stdout } = await project.run(['document', 'check']);
    expect([exit, stdout]).toEqual([0, '1 document type checked\n']);
    const broken = await project.run(['document', 'check', '--types', 'broken.ts', '--json']);
    expect(broken.exit).toBe(3);
    expect(broken.json()).toMatchObject({ findings: [{ code: 'step_invalid' }], types: ['trace'] });
    const none = await project.run(['document', 'check', '--types', 'none.ts', '--json']);
    expect(none.json()).toMatchObject({ status: 'refused', findings: [{ code: 'document_types_missing' }] });
  });

  it('check of two schema files names the rows of the decision matrix, without a type', async () => {
    await using project = await createCliProject(FILES);
    const { exit, stdout } = await project.run(['document', 'check', 'old.json', 'new.json']);
    expect(exit).toBe(3);
    expect(stdout).toMatchInlineSnapshot(`
      "mode      who            verdict  why
      BACKWARD  new reads old  no       moved at /b
      FORWARD   old reads new  no       moved at /c

      row  change         where     advice
      D13  field renamed  /b -> /c  [{"kind":"rename","at":"/b","name":"c"}]

      assumed: writers write only fields that their schema names
      "
    `);
  });

  it('plan and history tell the way and the versions', async () => {
    await using project = await createCliProject(FILES);
    const plan = await project.run(['document', 'plan', '0.0.1', '1.0.0']);
    expect(plan.stdout).toMatch(/^0\.0\.1 -> 1\.0\.0 {2}lossless\nsha256:[0-9a-f]{64}\n$/u);
    const history = await project.run(['document', 'history']);
    expect(history.stdout).toBe(
      'version  schema  adds\n0.0.1    yes     the first traces\n1.0.0    yes     title is called name\n',
    );
    const compat = await project.run([
      'document',
      'compat',
      '0.0.1',
      '1.0.0',
      '--mode',
      'BACKWARD',
      '--json',
    ]);
    expect(compat.exit).toBe(3);
    expect(compat.json()).toMatchObject({ verdict: 'no', differences: [{ row: 'D13', to: '/name' }] });
  });

  it('coverage tells what would fail, and migrate leaves out what is allowed to be left out', async () => {
    await using project = await createCliProject(FILES);
    const coverage = await project.run(['document', 'coverage', 'traces.jsonl', '--to', '1.0.0', '--json']);
    expect(coverage.exit).toBe(3);
    expect(coverage.json()).toMatchObject({
      status: 'refused',
      documents: 3,
      byVersion: { '0.0.1': 2, '1.0.0': 1 },
      failures: [{ pointer: '/name', keyword: 'maxLength', count: 1, samples: ['24'] }],
    });
    const refused = await project.run([
      'document',
      'migrate',
      'traces.jsonl',
      '--out',
      'new.jsonl',
      '--json',
    ]);
    expect(refused.exit).toBe(3);
    expect(refused.json()).toMatchObject({
      findings: [{ code: 'document_quarantined' }],
      counts: { migrated: 1 },
    });
    const none = await project.run([
      'document',
      'migrate',
      'traces.jsonl',
      '--out',
      'none.jsonl',
      '--max-quarantined',
      '0',
      '--json',
    ]);
    expect(none.json(), none.stderr).toMatchObject({
      findings: [{ code: 'document_quarantined', detail: { found: 1, most: 0 } }],
    });
    const argv = ['document', 'migrate', 'traces.jsonl', '--out', 'new.jsonl', '--max-quarantined', '1'];
    const migrated = await project.run(argv);
    expect([migrated.exit, migrated.stdout]).toEqual([
      0,
      '3 documents: 1 migrated, 1 current, 1 quarantined\n',
    ]);
    const [first, second] = (await readFile(path.join(project.dir, 'new.jsonl'), 'utf8')).split('\n');
    expect(first).toMatch(/^\{"name":"one","n":1\.0,"schema_version":"1\.0\.0","context":/u);
    expect(second).toBe('{"schema_version":"1.0.0","name":"two"}');
    const again = await project.run([...argv, '--json']);
    expect(again.json()).toMatchObject({ status: 'refused', findings: [{ code: 'files_exist' }] });
  });

  it('migrate takes threads, which load the types for themselves', async () => {
    await using project = await createCliProject(FILES);
    const argv = ['document', 'migrate', 'traces.jsonl', '--out', 'new.jsonl', '--max-quarantined', '1'];
    const migrated = await project.run([...argv, '--workers', '2']);
    expect([migrated.exit, migrated.stdout]).toEqual([
      0,
      '3 documents: 1 migrated, 1 current, 1 quarantined\n',
    ]);
    const [, second] = (await readFile(path.join(project.dir, 'new.jsonl'), 'utf8')).split('\n');
    expect(second).toBe('{"schema_version":"1.0.0","name":"two"}');
  });

  it('what has shipped is locked, and refused where it is another one', async () => {
    await using project = await createCliProject(FILES);
    const locked = await project.run(['document', 'lock']);
    expect([locked.exit, locked.stdout]).toEqual([0, 'wrote  documents/trace/lock.json\n']);
    expect((await project.run(['document', 'check'])).exit).toBe(0);
    await writeFile(
      path.join(project.dir, 'other.ts'),
      (FILES['documents.ts'] ?? '').replace("'name')]", "'name'), op.remove('/x')]"),
    );
    const changed = await project.run(['document', 'check', '--types', 'other.ts', '--json']);
    expect(changed.exit).toBe(3);
    expect(changed.json()).toMatchObject({
      findings: [{ code: 'document_lock_changed', detail: { changed: ['step 0.0.1>1.0.0'] } }],
    });
  });

  it('a column is counted, migrated with a receipt, and taken back', async () => {
    await using project = await createCliProject({
      ...FILES,
      'varve.config.ts': `export default { stores: { main: { embedded: 'db' } } };`,
    });
    {
      await using store = await embeddedStore({ folder: path.join(project.dir, 'db') });
      await store.script(`create schema app; create table app.trace (id int primary key, body jsonb);
        insert into app.trace select n, jsonb_build_object('trace_id', n::text, 'title', 't') from generate_series(1, 20) n`);
    }
    const coverage = await project.run(['document', 'coverage', '--column', 'app.trace.body', '--json']);
    expect(coverage.json()).toMatchObject({ documents: 20, byVersion: { '0.0.1': 20 } });
    const plan = await project.run(['document', 'plan', '--column', 'app.trace.body']);
    expect(plan.stdout).toContain('0.0.1 -> 1.0.0: 20 documents');
    const id = /DOC-MIG-[\d-]+/u.exec(plan.stdout)?.[0] ?? '';
    const rehearsed = await project.run(['rehearse', id, '--json']);
    expect(rehearsed.json(), rehearsed.stdout).toMatchObject({ status: 'ok' });
    const gated = await project.run(['gate', id, '--json']);
    expect(gated.json(), gated.stdout).toMatchObject({ status: 'ok' });
    const checked = await project.run(['check', '--json']);
    expect(checked.json(), checked.stdout).toMatchObject({ status: 'ok' });
    const applied = await project.run(['apply', id, '--yes', '--json']);
    expect(applied.json(), applied.stdout).toMatchObject({ status: 'ok', migrationId: id });
    const back = await project.run(['rollback', id, '--yes', '--json']);
    expect(back.json(), back.stdout).toMatchObject({ status: 'ok' });
    expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
  }, 60_000);

  it('a column of SQLite and a file are migrated alike; paths begin where the command is given', async () => {
    await using project = await createCliProject({
      ...FILES,
      'varve.config.ts': `export default { stores: { main: { embedded: 'db' } } };`,
      'data/lines.jsonl': '{"title":"one"}\n{"title":"two"}',
    });
    {
      using db = new DatabaseSync(path.join(project.dir, 'data/notes.db'));
      db.exec('create table note (id integer primary key, body text)');
      db.prepare('insert into note values (1, ?)').run('{"title":"a"}');
    }
    const plans = [
      ['--column', 'data/notes.db#note.body'],
      ['--in', 'data/lines.jsonl', '--out', 'data/new.jsonl'],
    ];
    const coverage = await project.run(['document', 'coverage', ...(plans[0] ?? []), '--json']);
    expect(coverage.json()).toMatchObject({ documents: 1, byVersion: { '0.0.1': 1 } });
    for (const flags of plans) {
      const plan = await project.run(['document', 'plan', ...flags]);
      const id = /DOC-MIG-[\d-]+/u.exec(plan.stdout)?.[0] ?? '';
      for (const verb of [['apply'], ['rollback'], ['apply']]) {
        const done = await project.run([...verb, id, '--yes', '--json']);
        expect(done.json(), done.stdout).toMatchObject({ status: 'ok', migrationId: id });
      }
      const again = await project.run(['apply', id, '--yes', '--json']);
      expect(again.json(), again.stdout).toMatchObject({ status: 'ok' });
      const back = await project.run(['rollback', id, '--yes', '--json']);
      expect(back.json(), back.stdout).toMatchObject({ status: 'ok' });
    }
    expect((await project.run(['receipts', 'verify', '--all'])).exit).toBe(0);
    expect(await readdir(path.join(project.dir, 'data'))).toEqual(['lines.jsonl', 'notes.db']);
  }, 60_000);

  it.each([
    [['--in', 'traces.jsonl'], 'Give --in and --out'],
    [['--in', 'a', '--out', 'b', '--lazy'], 'no --lazy'],
    [['--in', 'a', '--out', 'b', '--column', 'a.b.c'], 'not both'],
    [['--column', 'notes.db#note.body', '--connections', '2'], '--connections from 1 to 16'],
    [['--column', 'app.note.body', '--connections', '17'], '--connections from 1 to 16'],
    [['--column', 'notes.db#note'], 'FILE#table.column'],
    [['--column', 'note.body'], 'schema.table.column'],
  ])('plan %j is no use', async (flags, hint) => {
    await using project = await createCliProject(FILES);
    const { exit, stderr } = await project.run(['document', 'plan', ...flags]);
    expect(exit).toBe(2);
    expect(stderr).toContain(hint);
  });

  it.each([
    [['--column', 'none.db#note.body'], 'no_such_file'],
    [['--column', 'traces.db#note.other'], 'no_such_column'],
    [['--in', 'none.jsonl', '--out', 'b.jsonl'], 'no_such_file'],
  ])('plan %j is refused, and makes no file', async (flags, reason) => {
    await using project = await createCliProject({
      ...FILES,
      'varve.config.ts': `export default { stores: { main: { embedded: 'db' } } };`,
    });
    new DatabaseSync(path.join(project.dir, 'traces.db')).exec('create table note (id integer, body text)');
    const names = await readdir(project.dir);
    const plan = await project.run(['document', 'plan', ...flags, '--json']);
    expect(plan.json(), plan.stdout).toMatchObject({
      findings: [{ code: 'document_store_unusable', detail: { reason } }],
    });
    expect((await readdir(project.dir)).filter((name) => name !== 'db')).toEqual(names);
  });
});
