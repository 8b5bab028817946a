import { createHash } from 'node:crypto';
import { CompiledQuery, sql as kyselySql } from 'kysely';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ObservedRead } from '../../src/pipeline/strict/observe.ts';
import {
  openStrictReads,
  type StrictDb,
  type StrictReads,
} from '../../src/pipeline/strict/open-strict-reads.ts';
import { sql } from '../../src/store/index.ts';
import { withStores } from '../harness/index.ts';
import { createLab, createTable, installCatalog, type Lab } from './strict-lab.ts';

const KEY = { mouse: 1, session: 'a' };

withStores('observed reads', (given) => {
  let lab: Lab;
  let strict: StrictReads;

  beforeAll(async () => {
    await installCatalog(given.store);
    lab = await createLab(given.store, await given.freshSchema(), 'observe');
    strict = await openStrictReads(given.store, lab.options);
  });

  function observe<T>(
    work: (db: StrictDb) => Promise<T>,
    from: StrictReads = strict,
  ): Promise<{ readonly value: T; readonly reads: readonly ObservedRead[] }> {
    return given.store.transaction({ isolation: 'repeatable read' }, (transaction) =>
      from.run(transaction, KEY, work),
    );
  }

  /** Keys, columns and count by table, without the schema's name. */
  async function readsOf(form: string, values: readonly unknown[] = []): Promise<unknown> {
    const text = form.replaceAll('S.', `${lab.schema}.`);
    const { reads } = await observe((db) => db.executeQuery(CompiledQuery.raw(text, [...values])));
    return reads.map(({ subject, columns, keys, rowCount }) => ({
      [subject.slice(lab.schema.length + 1)]: [keys, columns, rowCount],
    }));
  }

  const policies = (...ids: readonly number[]): unknown => ids.map((id) => ({ id }));

  it('records no enforcement', () => {
    expect(strict.enforcement).toBe('none');
    expect(strict.findings).toEqual([]);
  });

  it('records nothing for declared reads, which stay restricted to the key', async () => {
    const { value, reads } = await observe((db) => db.selectFrom('allSessions').select('session').execute());
    expect(value).toHaveLength(2);
    expect(reads).toEqual([]);
  });

  describe('records exactly the rows read', () => {
    const forms: readonly (readonly [string, string, unknown])[] = [
      ['by key', 'select bound from S.policy where id = 2', [{ policy: [policies(2), ['id', 'bound'], 1] }]],
      ['none', 'select bound from S.policy where id = 7', [{ policy: [[], ['id', 'bound'], 0] }]],
      [
        'without a schema',
        'select bound from policy where id = 2',
        [{ policy: [policies(2), ['id', 'bound'], 1] }],
      ],
      [
        'the latest',
        'select bound from S.policy order by since desc limit 1',
        [{ policy: [policies(3), ['since', 'bound'], 1] }],
      ],
      [
        'the latest by alias',
        'select since as "when" from S.policy order by "when" desc limit 1',
        [{ policy: [policies(3), ['since'], 1] }],
      ],
      [
        'the latest by place',
        'select bound, since from S.policy order by 2 desc limit 1',
        [{ policy: [policies(3), ['since', 'bound'], 1] }],
      ],
      [
        'those skipped by an offset',
        'select bound from S.policy order by since limit 1 offset 1',
        [{ policy: [policies(1, 2), ['since', 'bound'], 2] }],
      ],
      [
        'all that tie',
        'select bound from S.policy order by bound < 25 desc limit 1',
        [{ policy: [policies(1, 2), ['bound'], 2] }],
      ],
      [
        'all where a limit has no order',
        'select bound from S.policy limit 1',
        [{ policy: [policies(1, 2, 3), ['bound'], 3] }],
      ],
      [
        'under an aggregate',
        'select max(bound) from S.policy where id < 3 limit 1',
        [{ policy: [policies(1, 2), ['id', 'bound'], 2] }],
      ],
      ['counted', 'select count(*) from S.policy', [{ policy: [policies(1, 2, 3), [], 3] }]],
      [
        'under groups',
        'select bound > 15, count(*) from S.policy group by 1 having count(*) > 1 order by 1 limit 1',
        [{ policy: [policies(1, 2, 3), ['bound'], 3] }],
      ],
      [
        'under distinct',
        'select distinct bound > 15 as high from S.policy order by high limit 1',
        [{ policy: [policies(1, 2, 3), ['bound'], 3] }],
      ],
      [
        'under a window',
        'select rank() over (order by bound) from S.policy order by 1 limit 1',
        [{ policy: [policies(1, 2, 3), ['bound'], 3] }],
      ],
      [
        'joined',
        'select p.bound from mouse m join S.policy p on p.id = m.strain',
        [{ policy: [policies(1), ['id', 'bound'], 1] }],
      ],
      [
        'joined from outside, found',
        'select p.bound from mouse m left join S.policy p on p.id = m.strain',
        [{ policy: [policies(1), ['id', 'bound'], 1] }],
      ],
      [
        'joined from outside, not found',
        'select p.bound from mouse m left join S.policy p on p.id = 7',
        [{ policy: [[], ['id', 'bound'], 0] }],
      ],
      [
        'in a list',
        'select * from S.policy where id = any(array[1, 3])',
        [{ policy: [policies(1, 3), ['id', 'since', 'bound'], 2] }],
      ],
      [
        'in a subselect',
        'select mouse from mouse where strain in (select id from S.policy where bound < 15)',
        [{ policy: [policies(1), ['id', 'bound'], 1] }],
      ],
      [
        'in a scalar subselect',
        'select (select bound from S.policy order by since desc limit 1) from mouse',
        [{ policy: [policies(3), ['since', 'bound'], 1] }],
      ],
      [
        'in exists',
        'select exists (select 1 from S.policy where bound > 15)',
        [{ policy: [policies(2, 3), ['bound'], 2] }],
      ],
      [
        'in FROM',
        'select x.bound from (select bound, id from S.policy where id > 1) x where x.id < 3',
        [{ policy: [policies(2, 3), ['id', 'bound'], 2] }],
      ],
      [
        'in a common table expression',
        'with p as (select * from S.policy where id = 2) select * from p',
        [{ policy: [policies(2), ['id', 'since', 'bound'], 1] }],
      ],
      [
        'after another one',
        'with a as (select 2 as n), p as (select bound from S.policy, a where id = n) select * from p',
        [{ policy: [policies(2), ['id', 'bound'], 1] }],
      ],
      [
        'in a recursive one',
        'with recursive w as (select 1 as n union all select n + 1 from w join S.policy on id = n where n < 3) select n from w',
        [{ policy: [policies(1, 2), ['id'], 2] }],
      ],
      [
        'in both arms of a union',
        'select bound from S.policy where id = 1 union select bound from S.policy where id = 3',
        [{ policy: [policies(1, 3), ['id', 'bound'], 2] }],
      ],
      [
        'joined to itself',
        'select a.id from S.policy a join S.policy b on b.id = a.id + 1 where a.id = 1',
        [{ policy: [policies(1, 2), ['id'], 2] }],
      ],
      [
        'with a key of several columns',
        'select note from S.session where score > 0.6',
        [
          {
            session: [
              [
                { mouse: 1, session: 'b' },
                { mouse: 2, session: 'a' },
              ],
              ['score', 'note'],
              2,
            ],
          },
        ],
      ],
      [
        'with keys of large numbers and bytes',
        'select text from S.audit_log where a > 5',
        [{ audit_log: [[{ a: '9007199254740993', b: '\\x01ff' }], ['a', 'text'], 1] }],
      ],
      [
        'as a whole row',
        'select p from S.policy p where id = 1',
        [{ policy: [policies(1), ['id', 'since', 'bound'], 1] }],
      ],
      [
        'by a name with its schema',
        'select S.policy.bound from S.policy where S.policy.id = 1',
        [{ policy: [policies(1), ['id', 'bound'], 1] }],
      ],
      [
        'of two tables',
        'select 1 from S.policy p join S.audit_log l on l.a = p.id',
        [{ audit_log: [[{ a: '2', b: '\\x00' }], ['a'], 1] }, { policy: [policies(2), ['id'], 1] }],
      ],
    ];
    it.each(forms)('%s', async (_, form, wanted) => {
      expect(await readsOf(form)).toEqual(wanted);
    });

    it('with parameters, some of which the rows do not depend on', async () => {
      const text =
        'select $1::text as label, bound * $3::int as b from S.policy where id = $2 and bound > $3';
      expect(await readsOf(text, ['x', 2, 1])).toEqual([{ policy: [policies(2), ['id', 'bound'], 1] }]);
      const latest = 'select $1::text from S.policy order by since desc limit $2 offset $3';
      expect(await readsOf(latest, ['x', 1, 1])).toEqual([{ policy: [policies(2, 3), ['since'], 2] }]);
    });

    it('through Kysely', async () => {
      const { reads } = await observe((db) =>
        db
          .selectFrom(`${lab.schema}.policy as p`)
          .select('p.bound')
          .orderBy('p.since', 'desc')
          .limit(1)
          .execute(),
      );
      expect(reads).toMatchObject([
        { subject: `${lab.schema}.policy`, keys: [{ id: 3 }], columns: ['since', 'bound'] },
      ]);
    });
  });

  describe('takes the whole table where the statement does not tell the rows', () => {
    const whole = { policy: [null, expect.anything(), 3] };
    it.each([
      [
        'a subselect that refers to the row around it',
        'select (select bound from S.policy where id = m.strain) from mouse m',
      ],
      [
        'exists with such a condition',
        'select mouse from mouse m where exists (select 1 from S.policy p where p.id = m.strain)',
      ],
      ['lateral', 'select 1 from mouse m, lateral (select bound from S.policy where id = m.strain) p'],
      ['renamed columns', 'select a from S.policy as p(a, b, c) where a = 1'],
      ['a view', 'select * from S.policy_view where id = 1'],
      ['a view on a view', 'select * from S.view_on_view'],
      ['a join with an alias', 'select j.bound from (mouse m join S.policy p on true) as j'],
      ['one of two reads', 'select bound from S.policy where id = 1 union select bound from S.view_on_view'],
    ])('%s', async (_, form) => {
      expect(await readsOf(form)).toEqual([whole]);
    });

    it('also the second time', async () => {
      const form = 'select (select bound from S.policy where id = m.strain + 1) from mouse m';
      expect(await readsOf(form)).toEqual([whole]);
      expect(await readsOf(form)).toEqual([whole]);
    });
  });

  it('joins what several statements read of one table, also of such as run at once', async () => {
    const { reads } = await observe((db) =>
      Promise.all(
        [1, 3, 1].map((id) =>
          kyselySql`select ${kyselySql.ref(id === 3 ? 'since' : 'bound')} from ${kyselySql.table(`${lab.schema}.policy`)} where id = ${id}`.execute(
            db,
          ),
        ),
      ),
    );
    expect(reads).toMatchObject([
      { keys: [{ id: 1 }, { id: 3 }], columns: ['id', 'since', 'bound'], rowCount: 2 },
    ]);
  });

  it('digests the rows read, of the columns named', async () => {
    const { reads } = await observe((db) =>
      kyselySql`select bound from ${kyselySql.table(`${lab.schema}.policy`)} where id < 3`.execute(db),
    );
    const digest = (items: readonly string[]): Buffer =>
      createHash('sha256').update(JSON.stringify(items)).digest();
    const rows = [digest(['1', '10']), digest(['2', '20'])];
    expect(reads[0]?.digest).toBe(`sha256:${createHash('sha256').update(Buffer.concat(rows)).digest('hex')}`);
  });

  it('finds tables without their schema, but no functions', async () => {
    await given.store.script(`create function ${lab.schema}.upper(i integer) returns bigint language sql
      as 'select count(*) from ${lab.schema}.audit_log'`);
    await expect(readsOf('select upper(id) from S.policy')).rejects.toMatchObject({
      fields: { sqlstate: '42883' },
    });
    expect(
      await readsOf(
        'select policy.bound as "ü" from policy join only "policy" as p on p.id = policy.id where policy.id = $1',
        [2],
      ),
    ).toEqual([{ policy: [policies(2), ['id', 'bound'], 1] }]);
  });

  it('takes a table without a primary key whole, whatever its types', async () => {
    await given.store.script(`create table ${lab.schema}.loose (spot point, doc json);
      insert into ${lab.schema}.loose values ('(1,2)', '{}'), ('(3,4)', '[]')`);
    expect(await readsOf("select doc from S.loose where spot ~= point '(1,2)'")).toEqual([
      { loose: [null, ['spot', 'doc'], 2] },
    ]);
  });

  it.each([
    ['undeclared_read', 'select * from pg_class'],
    ['undeclared_read', 'select * from varve.run'],
    ['undeclared_read', 'select * from nowhere'],
    ['statement_refused', 'select now()'],
    ['statement_refused', 'delete from S.policy'],
    ['statement_refused', 'select * from S.policy for update'],
  ])('still refuses with %s: %s', async (code, form) => {
    await expect(readsOf(form)).rejects.toMatchObject({ code });
  });

  it('reads relations where the placement says, and calls them by their names', async () => {
    const { store } = given;
    const building = await given.freshSchema();
    const policy = lab.options.specByName.get(`${lab.schema}.policy`);
    const mouse = lab.options.specByName.get(`${lab.schema}.mouse`);
    if (policy === undefined || mouse === undefined) throw new Error('no such table');
    await store.script(createTable(policy, [building, 'policy.2']));
    await store.script(createTable(mouse, [building, 'mouse']));
    await store.execute(sql`insert into ${sql.id(building, 'policy.2')} values (9, '2030-01-01', 99)`);
    await store.execute(sql`insert into ${sql.id(building, 'mouse')} values (1, 'Eve', 5, 1)`);
    await using placed = await openStrictReads(store, {
      ...lab.options,
      placementByTable: new Map([
        [policy.name, { schema: building, table: 'policy.2' }],
        [mouse.name, { schema: building, table: 'mouse' }],
      ]),
    });
    const { value, reads } = await observe(async (db) => {
      const { rows } = await kyselySql`
        select m.name, ${kyselySql.table(`${lab.schema}.policy`)}.bound
        from mouse m, ${kyselySql.table(`${lab.schema}.policy`)} where ${kyselySql.ref('policy.id')} > ${3}`.execute(
        db,
      );
      return rows;
    }, placed);
    expect(value).toEqual([{ name: 'Eve', bound: 99 }]);
    expect(reads).toMatchObject([{ subject: policy.name, keys: [{ id: 9 }], columns: ['id', 'bound'] }]);
    const { value: old } = await observe((db) => db.selectFrom('mouse').select('name').execute());
    expect(old).toEqual([{ name: 'Ada' }]);
  });
});
