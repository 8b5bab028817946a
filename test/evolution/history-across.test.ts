import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql as ksql } from 'kysely';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/index.ts';
import { supersededStructures } from '../../src/evolution/index.ts';
import {
  approveMigration,
  createKeyPair,
  readSigner,
  registerKey,
  retireMigration,
  type RunOutcome,
} from '../../src/migration/index.ts';
import { history, insertRows, pipeline, t, walkAsOf, why, type Pipeline } from '../../src/pipeline/index.ts';
import { cascade } from '../../src/provenance/index.ts';
import { withStores } from '../harness/index.ts';
import { openLab, type Lab } from './lab.ts';
import { definitionsFrom } from './side-pipeline.ts';

/** Mice whose grade reads a rule that it does not declare, and a sum below. */
function before(): Pipeline {
  const lab = pipeline('lab');
  const mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.integer() } });
  lab.manual('rule', { key: { rule: t.integer() }, columns: { off: t.integer() } });
  const grade = lab.computed('grade', {
    parents: [mouse],
    columns: { value: t.integer() },
    strict: 'observe',
    reads: { mouse },
    makeWith: async (db) => {
      const { weight } = await db.selectFrom('mouse').select('weight').executeTakeFirstOrThrow();
      const rule = await ksql<{ off: number }>`select "off" from lab.rule order by rule desc limit 1`.execute(
        db,
      );
      return { value: weight + (rule.rows[0]?.off ?? 0) };
    },
  });
  lab.computed('double', {
    parents: [grade],
    columns: { twice: t.integer() },
    reads: { grade },
    make: ({ grade: { value } }) => ({ twice: value * 2 }),
  });
  return lab;
}

/** A table of people, whose key gets another name and whose width another type. */
function cages(isLater: boolean): Pipeline {
  const lab = pipeline('lab');
  if (isLater)
    lab.manual('cage', {
      key: { pen: t.integer().renamedFrom('cage') },
      columns: { width: t.integer() },
    });
  else lab.manual('cage', { key: { cage: t.integer() }, columns: { width: t.double() } });
  return lab;
}

/** The rule is part of the grade's key, and the table below has another name. */
function after(): Pipeline {
  const lab = pipeline('lab');
  const mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.integer() } });
  const rule = lab.manual('rule', { key: { rule: t.integer() }, columns: { off: t.integer() } });
  const grade = lab.computed('grade', {
    parents: [mouse, rule],
    columns: { value: t.integer() },
    reads: { mouse, rule },
    make: ({ mouse: { weight }, rule: { off } }) => ({ value: weight + off }),
  });
  lab.computed('twin', {
    parents: [grade],
    columns: { twice: t.integer() },
    renamedFrom: 'double',
    reads: { grade },
    make: ({ grade: { value } }) => ({ twice: value * 2 }),
  });
  return lab;
}

withStores('history across a wider key and another name', (given) => {
  let lab: Lab;
  let keys: string;
  let populated: string;
  let id: string;
  beforeEach(async () => {
    keys = await mkdtemp(join(tmpdir(), 'varve-keys-'));
    lab = await openLab(given.store);
    await lab.deploy(before());
    await given.store.script(
      'insert into lab.mouse values (1, 10), (2, 20); insert into lab.rule values (1, 7)',
    );
    const result = await lab.populate(before());
    populated = result.status === 'refused' ? '' : result.run;
    id = await lab.deploy(after());
  });
  afterEach(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(keys, { recursive: true, force: true });
  });

  const retire = async (): Promise<RunOutcome> => {
    const { privatePem, publicKey } = createKeyPair();
    const path = join(keys, 'eve.pem');
    await writeFile(path, privatePem);
    const principal = 'user:eve';
    await registerKey(lab.root, systemClock, {
      principal,
      publicKey,
      role: 'approver',
      environments: ['dev'],
    });
    const signer = await readSigner(path);
    if ('code' in signer) throw new Error(signer.code);
    const options = lab.options(after());
    const approved = await approveMigration(options, id, { principal, grant: 'retire', signer });
    if (approved.status === 'refused') throw new Error(JSON.stringify(approved.findings));
    return retireMigration(options, id);
  };

  it('answers by the key and the name of then', async () => {
    expect(await lab.rows('select mouse, rule, value from lab.grade order by mouse')).toEqual([
      { mouse: 1, rule: 1, value: 17 },
      { mouse: 2, rule: 1, value: 27 },
    ]);
    expect(await why(given.store, 'lab.grade', { mouse: 1 }, { asOf: populated, deep: true })).toMatchObject({
      status: 'ok',
      origin: {
        key: { mouse: 1 },
        computation: { run: { name: populated }, inputs: [{ table: 'lab.mouse', isPresent: true }] },
      },
      above: [{ table: 'lab.mouse' }, { table: 'lab.rule' }],
    });
    expect(await history(given.store, 'lab.grade', { key: { mouse: 1 } })).toMatchObject({
      status: 'ok',
      versions: [{ rows: { 'lab.grade': [{ mouse: 1, value: 17 }] }, ended: 'structure' }],
    });
    expect(await history(given.store, 'lab.grade', { key: { mouse: 1, rule: 1 } })).toMatchObject({
      status: 'ok',
      versions: [
        { rows: { 'lab.grade': [{ mouse: 1, rule: 1, value: 17 }] }, ended: null },
        { rows: { 'lab.grade': [{ mouse: 1, value: 17 }] }, ended: 'structure' },
      ],
    });
    expect(await why(given.store, 'lab.double', { mouse: 1 }, { asOf: populated, deep: true })).toMatchObject(
      {
        status: 'ok',
        origin: {
          computation: {
            run: { name: populated },
            inputs: [{ table: 'lab.grade', keys: [{ mouse: 1 }], isPresent: true }],
          },
        },
        above: [{ table: 'lab.grade' }, { table: 'lab.mouse' }, { table: 'lab.rule' }],
      },
    );
    expect(await history(given.store, 'lab.twin', { asOf: populated })).toMatchObject({ count: 2 });
    const walked = await walkAsOf(given.store, {
      asOf: populated,
      tables: ['lab.mouse'],
      toParents: false,
      walk: (database, graph) => cascade(database, graph, { table: 'lab.mouse', where: 'mouse = 1' }),
    });
    expect(walked).toMatchObject({
      outcome: {
        tables: [
          { table: 'lab.mouse', rows: 1 },
          { table: 'lab.grade', rows: 1 },
          { table: 'lab.double', rows: 1 },
        ],
      },
    });
  });

  it('lets go of all that the migration left, its maps too', async () => {
    expect(await retire()).toMatchObject({
      status: 'applied',
      receipt: { receipt: { validation: { status: 'pass' } } },
    });
    expect(await supersededStructures(given.store)).toEqual([]);
    expect(
      await lab.rows(
        `select relname from pg_class where relkind = 'r' and relnamespace in ('varve_history'::regnamespace)`,
      ),
    ).toEqual([]);
    expect(await lab.rollback(after(), id)).toMatchObject({ findings: [{ code: 'structure_missing' }] });
    expect(await why(given.store, 'lab.double', { mouse: 1 }, { asOf: populated })).toMatchObject({
      status: 'ok',
      origin: { letGo: { by: 'user:test' }, computation: { run: { name: populated } } },
    });
    expect(await lab.populate(after())).toMatchObject({ status: 'done' });
    expect((await lab.verify(after())).status).toBe('equal');
  });

  it('follows a row that people brought across a key with another name and a value of another type', async () => {
    const one = cages(false);
    await lab.deploy(one);
    const Cage = definitionsFrom(one).tableByName.get('lab.cage');
    if (Cage === undefined) throw new TypeError('no table');
    await insertRows(given.store, Cage, [{ cage: 1, width: 2.5 }], { source: 'a sheet', actor: 'ada' });
    await lab.deploy(cages(true), { 'lab.cage.width': 'round(width)' });
    const brought = { source: 'a sheet', actor: 'ada' };
    expect(await history(given.store, 'lab.cage', { key: { pen: 1 } })).toMatchObject({
      status: 'ok',
      versions: [
        { rows: { 'lab.cage': [{ pen: 1, width: 2 }] }, ended: null, brought },
        { rows: { 'lab.cage': [{ cage: 1, width: 2.5 }] }, ended: 'structure', brought },
      ],
    });
    // The rule of the evolution gave another value: nobody changed it by hand.
    expect(await why(given.store, 'lab.cage', { pen: 1 })).toMatchObject({
      status: 'ok',
      origin: { ingestions: [{ ...brought, isUnchanged: null }] },
    });
  });
});
