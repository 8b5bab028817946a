import { expect, it } from 'vitest';
import {
  definitionsOf,
  deleteRows,
  history,
  insertRows,
  listJobs,
  loadRelations,
  part,
  pipeline,
  planDelete,
  relationOf,
  stale,
  syncContents,
  t,
  why,
  type RowVersion,
} from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { attach, codeOf, deploy, environment } from './pipeline-lab.ts';

const DIGEST = expect.stringMatching(/^sha256:[0-9a-f]{64}$/);
const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

withStores('where rows come from', (given) => {
  /** Mice and rules; a grade from both; a report from the grade, with lines. */
  async function lab() {
    const schema = uniqueName('s');
    const defined = pipeline(schema);
    const Mouse = defined.manual('mouse', {
      key: { mouse: t.bigint() },
      columns: { weight: t.numeric(), name: t.text().nullable() },
    });
    const Rule = defined.manual('rule', { key: { rule: t.integer() }, columns: { bound: t.double() } });
    const Grade = defined.computed('grade', {
      parents: [Mouse],
      columns: { heavy: t.boolean() },
      reads: { mouse: Mouse.columns('weight'), rules: Rule.all() },
      make: ({ mouse, rules }) => ({ heavy: rules.every(({ bound }) => Number(mouse.weight) > bound) }),
    });
    const Report = defined.computed('report', {
      parents: [Grade],
      columns: { text: t.text() },
      parts: { line: part({ key: { n: t.integer() }, columns: { text: t.text() } }) },
      reads: { grade: Grade },
      make: ({ grade }) => ({
        text: grade.heavy ? 'heavy' : 'light',
        parts: {
          line: [
            { n: 1, text: 'a' },
            { n: 2, text: 'b' },
          ],
        },
      }),
    });
    const world = await deploy(given.store, defined);
    await world.insert(Mouse, [
      { mouse: 1n, weight: '10.50' },
      { mouse: 9007199254740993n, weight: '30.00' },
    ]);
    await world.insert(Rule, [
      { rule: 1, bound: 1 },
      { rule: 2, bound: 20 },
    ]);
    const setWeight = (mouse: bigint, weight: string) =>
      given.store.execute(
        sql`update ${sql.id(schema, 'mouse')} set weight = ${weight} where mouse = ${mouse}`,
      );
    return { schema, world, Mouse, Rule, Grade, Report, setWeight };
  }
  const BIG = '9007199254740993';

  it('why answers with run, code, inputs and whether they still are what was read', async () => {
    const { world, Grade, Mouse, Rule, setWeight } = await lab();
    const run = await world.populate();
    const asked = await why(given.store, Grade.spec.name, { mouse: BIG });
    expect(asked).toEqual({
      status: 'ok',
      above: [],
      beyond: 0,
      origin: {
        table: Grade.spec.name,
        tier: 'computed',
        key: { mouse: BIG },
        depth: 0,
        since: INSTANT,
        until: null,
        letGo: null,
        ingestions: [],
        adopted: null,
        computation: {
          run: {
            name: 'run' in run ? run.run : '',
            kind: 'populate',
            actor: 'ada',
            host: 'bench-1',
            gitCommit: 'c0ffee',
            lockDigest: environment.lockDigest,
            definitionDigest: world.definitions.digest,
            startedAt: INSTANT,
            finishedAt: INSTANT,
            status: 'done',
          },
          code: { digest: world.codeByTable.get(Grade.spec.name)?.digest, basis: 'text', packages: {} },
          enforcement: 'pure',
          origin: 'computed',
          attribution: null,
          outputDigest: DIGEST,
          durationUs: expect.any(Number),
          recorded: [],
          inputs: [
            {
              read: 'mouse',
              table: Mouse.spec.name,
              columns: ['weight'],
              cardinality: 'one',
              keys: [{ mouse: BIG }],
              rowCount: 1,
              recordedDigest: DIGEST,
              presentDigest: DIGEST,
              isPresent: true,
            },
            {
              read: 'rules',
              table: Rule.spec.name,
              columns: ['rule', 'bound'],
              cardinality: 'many',
              keys: [{ rule: 1 }, { rule: 2 }],
              rowCount: 2,
              recordedDigest: DIGEST,
              presentDigest: DIGEST,
              isPresent: true,
            },
          ],
        },
      },
    });
    await setWeight(9007199254740993n, '31');
    const moved = await why(given.store, Grade.spec.name, { mouse: BIG }, { keyLimit: 1 });
    expect(moved).toMatchObject({
      origin: {
        computation: {
          inputs: [{ isPresent: false }, { isPresent: true, keys: [{ rule: 1 }], rowCount: 2 }],
        },
      },
    });
  });

  it('why goes up through everything, each row once, and ends at what people brought', async () => {
    const { world, Report, Grade, Mouse, Rule } = await lab();
    await world.populate();
    const asked = await why(given.store, Report.spec.name, { mouse: '1' }, { deep: true });
    if (asked.status === 'refused') throw new Error(JSON.stringify(asked.findings));
    expect(asked.above.map(({ table, key }) => [table, key])).toEqual([
      [Grade.spec.name, { mouse: '1' }],
      [Mouse.spec.name, { mouse: '1' }],
      [Rule.spec.name, { rule: 1 }],
      [Rule.spec.name, { rule: 2 }],
    ]);
    const mouse = asked.above[1];
    expect(mouse).toMatchObject({ tier: 'manual', computation: null });
    expect(mouse?.ingestions).toEqual([
      {
        name: expect.stringMatching(/^varve:\/\/ingestion\/\d+$/u),
        table: Mouse.spec.name,
        source: 'test',
        actor: 'ada',
        at: INSTANT,
        rows: 1,
        rowCount: 2,
        digest: DIGEST,
        isUnchanged: true,
      },
    ]);
  });

  it('why of a part row is that of its master', async () => {
    const { world, Report } = await lab();
    await world.populate();
    const asked = await why(given.store, Report.parts.line.spec.name, { mouse: '1', n: 2 });
    expect(asked).toMatchObject({ status: 'ok', origin: { table: Report.spec.name, key: { mouse: '1' } } });
  });

  it('why and history refuse what does not exist, naming what does', async () => {
    const { world, Grade, Mouse } = await lab();
    const name = Grade.spec.name;
    const cases = [
      [`${name}e`, { mouse: '1' }, 'unknown_table'],
      [name, { mouze: '1' }, 'unknown_column'],
      [name, {}, 'unknown_column'],
      [name, { mouse: 'one' }, 'value_invalid'],
      [name, { mouse: '77' }, 'row_missing'],
    ] as const;
    for (const [table, key, code] of cases) {
      expect(await why(given.store, table, key)).toMatchObject({ status: 'refused', findings: [{ code }] });
      expect(await history(given.store, table, { key })).toMatchObject({
        status: 'refused',
        findings: [{ code }],
      });
    }
    for (const asOf of ['yesterday', 'varve://run/none']) {
      expect(await history(given.store, Mouse.spec.name, { asOf })).toMatchObject({
        findings: [{ code: 'unknown_run' }],
      });
    }
    await world.populate();
    expect(await why(given.store, name, { mouse: '1' }, { asOf: '2001-01-01T00:00:00Z' })).toMatchObject({
      findings: [{ code: 'row_missing', detail: { until: null } }],
    });
  });

  it('history has every version with its time, and why explains the one that was valid', async () => {
    const { world, Grade, Report, setWeight } = await lab();
    const runs: string[] = [];
    const populate = async () => {
      const result = await world.populate();
      runs.push('run' in result ? result.run : '');
    };
    await populate();
    await setWeight(1n, '25');
    await populate();
    await setWeight(1n, '26');
    await populate();
    const past = await history(given.store, Grade.spec.name, { key: { mouse: 1 } });
    if (past.status === 'refused' || !('key' in past)) throw new Error('no history');
    expect(past.key).toEqual({ mouse: '1' });
    expect(past.versions.map(shortVersion(Grade.spec.name))).toEqual([
      [[{ mouse: '1', heavy: true }], runs[2], null, null],
      [[{ mouse: '1', heavy: true }], runs[1], runs[2], 'recomputed'],
      [[{ mouse: '1', heavy: false }], runs[0], runs[1], 'recomputed'],
    ]);
    const [newest, middle, oldest] = past.versions;
    expect([newest?.since, middle?.since]).toEqual([middle?.until, oldest?.until]);
    for (const [index, version] of [oldest, middle, newest].entries()) {
      for (const asOf of [runs[index] ?? '', version?.since ?? '']) {
        expect(await history(given.store, Grade.spec.name, { key: { mouse: 1 }, asOf })).toMatchObject({
          versions: [{ sinceRun: runs[index] }],
        });
        expect(await why(given.store, Grade.spec.name, { mouse: 1 }, { asOf, deep: true })).toMatchObject({
          origin: { until: version?.until, computation: { run: { name: runs[index] } } },
        });
      }
    }
    const report = await history(given.store, Report.parts.line.spec.name, { key: { mouse: 1, n: 1 } });
    expect(report).toMatchObject({
      versions: [
        { rows: { [Report.spec.name]: [{ text: 'heavy' }] } },
        {
          rows: {
            [Report.spec.name]: [{ text: 'light' }],
            [Report.parts.line.spec.name]: [{ n: 1 }, { n: 2 }],
          },
          ended: 'recomputed',
        },
      ],
    });
  });

  it('history gives a table as it was, page by page', async () => {
    const { world, Grade, Mouse } = await lab();
    await world.insert(
      Mouse,
      Array.from({ length: 5 }, (_, index) => ({ mouse: BigInt(index + 2), weight: '1' })),
    );
    const first = await world.populate();
    await given.store.execute(sql`update ${sql.id(...names(Mouse.spec.name))} set weight = 50`);
    await world.populate();
    const asOf = 'run' in first ? first.run : '';
    const page = async (offset: number) => history(given.store, Grade.spec.name, { asOf, limit: 4, offset });
    const pages = [await page(0), await page(4)];
    expect(pages).toMatchObject([
      { status: 'ok', asOf, count: 7, nextOffset: 4 },
      { status: 'ok', count: 7, nextOffset: null },
    ]);
    const versions = pages.flatMap((each) => (each.status === 'ok' ? each.versions : []));
    expect(versions.map(({ key }) => key['mouse'])).toEqual(['1', '2', '3', '4', '5', '6', BIG]);
    expect(versions.filter(({ rows }) => rows[Grade.spec.name]?.[0]?.['heavy'] === true)).toHaveLength(1);
    const now = await history(given.store, Grade.spec.name);
    expect(now).toMatchObject({ count: 7, versions: Array.from({ length: 7 }, () => ({ until: null })) });
  });

  it('history finds rows of a retired structure, and says until when they stood', async () => {
    const { schema, world, Grade } = await lab();
    await world.populate();
    const { id } = await world.relation(Grade);
    // What an evolution leaves behind: the old structure elsewhere, another generation in its place.
    await given.store.transaction({}, async (transaction) => {
      await transaction.execute(
        sql`create table ${sql.id(schema, 'grade_1')} as select * from ${sql.id(schema, 'grade')}`,
      );
      await transaction.execute(sql`update varve.relation set state = 'retired', physical_name = 'grade_1',
        until_run = 'varve://run/evolution', until_at = now() where id = ${id}`);
      await transaction.execute(sql`insert into varve.relation
        (name, spec, physical_schema, physical_name, state, predecessor, since_run, since_at)
        select name, spec, physical_schema, 'grade', 'live', id, until_run, until_at from varve.relation where id = ${id}`);
      await transaction.execute(sql`update ${sql.id(schema, 'grade')} set heavy = not heavy`);
    });
    const past = await history(given.store, Grade.spec.name, { key: { mouse: 1 } });
    expect(past).toMatchObject({
      versions: [
        { rows: { [Grade.spec.name]: [{ heavy: true }] }, until: null, ended: null },
        {
          rows: { [Grade.spec.name]: [{ heavy: false }] },
          ended: 'structure',
          untilRun: 'varve://run/evolution',
        },
      ],
    });
    const old = past.status === 'ok' ? past.versions[1] : undefined;
    const explained = await why(given.store, Grade.spec.name, { mouse: 1 }, { asOf: old?.since ?? '' });
    expect(explained).toMatchObject({
      origin: { until: old?.until, computation: { inputs: [{ isPresent: true }, {}] } },
    });
  });

  it('stale names the package that moved, and whether the code did', async () => {
    const { world, Grade, Report } = await lab();
    const identity = (packages: Readonly<Record<string, string>>, salt = '') =>
      new Map(
        [...codeOf([...world.definitions.tableByName.values()], salt)].map(([name, code]) => [
          name,
          name === Grade.spec.name
            ? { ...code, packages, digest: `sha256:${Object.values(packages).join('')}${salt}` as const }
            : code,
        ]),
      );
    await world.populate({ codeByTable: identity({ semver: '7.7.1', old: '1.0.0' }) });
    expect(
      await stale(given.store, world.definitions, identity({ semver: '7.8.0', fresh: '2.0.0' })),
    ).toMatchObject({
      status: 'ok',
      tables: [
        {
          table: Grade.spec.name,
          stale: [1, 2].map(() => ({
            reasons: [
              {
                kind: 'code',
                isSourceChanged: false,
                packages: [
                  { name: 'fresh', from: null, to: '2.0.0' },
                  { name: 'old', from: '1.0.0', to: null },
                  { name: 'semver', from: '7.7.1', to: '7.8.0' },
                ],
              },
            ],
          })),
          below: [
            { table: Report.spec.name, rows: 2 },
            { table: Report.parts.line.spec.name, rows: 4 },
          ],
        },
        { table: Report.spec.name, stale: [], below: [] },
      ],
    });
    expect(await stale(given.store, world.definitions, world.codeByTable, ['lab.nothing'])).toMatchObject({
      status: 'refused',
      findings: [{ code: 'unknown_table' }],
    });
  });

  it('deletes rows with all below them into history, as shown and not otherwise', async () => {
    const { schema, world, Mouse, Grade, Report } = await lab();
    await world.populate();
    const plan = await planDelete(given.store, world.definitions, Mouse.spec.name, 'mouse = 1');
    expect(plan).toEqual({
      status: 'ok',
      table: Mouse.spec.name,
      tables: ['mouse', 'grade', 'report', 'report__line'].map((name, index) => ({
        table: `${schema}.${name}`,
        rows: [1, 1, 1, 2][index],
      })),
      stale: [],
    });
    if (plan.status === 'refused') throw new Error('refused');
    expect(await world.rows(Mouse)).toHaveLength(2);
    const remove = (where: string) =>
      deleteRows(given.store, world.definitions, Mouse.spec.name, where, { environment, plan });
    expect(await remove('true')).toMatchObject({ status: 'refused', findings: [{ code: 'plan_changed' }] });
    expect(await world.rows(Mouse)).toHaveLength(2);
    const before = await history(given.store, Report.spec.name, { key: { mouse: 1 } });
    const done = await remove('mouse = 1');
    expect(done).toMatchObject({ status: 'deleted', tables: plan.tables });
    for (const table of [Mouse, Grade, Report]) {
      expect(await world.rows(table)).toHaveLength(1);
      const past = await history(given.store, table.spec.name, { key: { mouse: 1 } });
      expect(past).toMatchObject({
        versions: [{ ended: 'deleted', untilRun: 'run' in done ? done.run : '' }],
      });
    }
    const after = await history(given.store, Report.spec.name, { key: { mouse: 1 } });
    if (before.status === 'refused' || after.status === 'refused') throw new Error('refused');
    expect(after.versions[0]?.rows).toEqual(before.versions[0]?.rows);
    expect(await history(given.store, Mouse.spec.name, { key: { mouse: 1 } })).toMatchObject({
      versions: [{ rows: { [Mouse.spec.name]: [{ mouse: '1', weight: '10.50', name: null }] } }],
    });
    expect(await why(given.store, Grade.spec.name, { mouse: 1 })).toMatchObject({
      findings: [{ code: 'row_missing' }],
    });
    const computations = await given.store.query(sql`
      select count(*)::int as n from varve.computation where relation = ${(await world.relation(Grade)).id}`);
    expect(computations).toEqual([{ n: 1 }]);
  });

  it('a deletion keeps rows that only read what goes, and names them', async () => {
    const { world, Rule, Grade } = await lab();
    await world.populate();
    const plan = await planDelete(given.store, world.definitions, Rule.spec.name, 'rule = 2');
    expect(plan).toMatchObject({
      tables: [{ table: Rule.spec.name, rows: 1 }],
      stale: [{ table: Grade.spec.name, rows: 2 }],
    });
    await deleteRows(given.store, world.definitions, Rule.spec.name, 'rule = 2', { environment });
    expect(await world.rows(Grade)).toHaveLength(2);
    expect(await world.populate()).toMatchObject({ tables: [{ computed: 2 }, { computed: 1 }] });
  });

  it('14. 15. part rows go with their master, alone, or not at all; nothing is lost', async () => {
    const schema = uniqueName('s');
    const defined = pipeline(schema);
    const Ext = defined.manual('ext', { key: { e: t.integer() } });
    const M = defined.manual('m', { key: { m: t.integer() }, parts: { p: part({ parents: [Ext] }) } });
    const world = await deploy(given.store, defined);
    const fill = async () => {
      await world.insert(Ext, [{ e: 1 }, { e: 2 }]);
      await world.insert(M, [{ m: 1 }]);
      await world.insert(M.parts.p, [
        { m: 1, e: 1 },
        { m: 1, e: 2 },
      ]);
    };
    await fill();
    const remove = (parts?: 'ignore' | 'cascade') =>
      deleteRows(given.store, world.definitions, Ext.spec.name, 'e = 1', {
        environment,
        ...(parts === undefined ? {} : { parts }),
      });
    expect(await remove()).toMatchObject({
      status: 'refused',
      findings: [{ code: 'part_without_master', subject: M.parts.p.spec.name, detail: { rows: 1 } }],
    });
    expect(await world.rows(Ext)).toHaveLength(2);
    expect(await remove('ignore')).toMatchObject({ status: 'deleted' });
    expect(await world.rows(M)).toHaveLength(1);
    expect(await world.rows(M.parts.p)).toEqual([{ m: 1, e: 2 }]);
    const archived = await given.store.query(sql`
      select s.rows from varve.superseded s join varve.relation r on r.id = s.relation where r.name like ${`${schema}.%`} order by s.id`);
    expect(archived).toEqual([
      { rows: { [Ext.spec.name]: [{ e: 1 }] } },
      { rows: { [M.parts.p.spec.name]: [{ m: 1, e: 1 }] } },
    ]);
    await world.insert(Ext, [{ e: 1 }]);
    await world.insert(M.parts.p, [{ m: 1, e: 1 }]);
    expect(await remove('cascade')).toMatchObject({ status: 'deleted' });
    expect([await world.rows(M), await world.rows(M.parts.p)]).toEqual([[], []]);
    expect(await history(given.store, M.spec.name, { key: { m: 1 } })).toMatchObject({
      versions: [{ ended: 'deleted', rows: { [M.parts.p.spec.name]: [{ e: 1 }, { e: 2 }] } }],
    });
  });

  it('a deletion takes whole results, also where one row of several hangs on what goes', async () => {
    const defined = pipeline(uniqueName('s'));
    const Source = defined.manual('source', { key: { id: t.integer() } });
    const Tag = defined.manual('tag', { key: { tag: t.integer() } });
    const Piece = defined.computed('piece', {
      parents: [Source],
      key: { n: t.integer() },
      references: { label: Tag },
      reads: { source: Source, tags: Tag.all() },
      make: ({ tags }) => tags.map(({ tag }, n) => ({ n, tag })),
    });
    const world = await deploy(given.store, defined);
    await world.insert(Source, [{ id: 1 }]);
    await world.insert(Tag, [{ tag: 1 }, { tag: 2 }]);
    expect(await world.populate()).toMatchObject({ status: 'done' });
    expect(
      await deleteRows(given.store, world.definitions, Tag.spec.name, 'tag = 2', { environment }),
    ).toMatchObject({
      tables: [{ rows: 1 }, { table: Piece.spec.name, rows: 2 }],
    });
    expect(await world.rows(Piece)).toEqual([]);
    await world.populate();
    expect(await world.rows(Piece)).toEqual([{ id: 1, n: 0, tag: 1 }]);
    expect(await world.wrongOutputs(Piece)).toBe(0);
  });

  it('refuses rows that cannot stand, by row and column, without their values', async () => {
    const { world, Mouse, Grade } = await lab();
    const options = { source: 'mice.csv', actor: 'ada' };
    const bad = await insertRows(
      given.store,
      Mouse,
      [
        { mouse: 5n, weight: '1' },
        { mouse: 'secret' as never, weight: '\uD800' },
        { mouse: 6n, wait: 1 } as never,
      ],
      options,
    );
    expect(bad).toMatchObject({
      status: 'refused',
      findings: [
        {
          code: 'value_invalid',
          subject: `${Mouse.spec.name}.mouse`,
          detail: { row: 2, expected: 'bigint' },
        },
        { code: 'value_invalid', subject: `${Mouse.spec.name}.weight`, detail: { row: 2 } },
        {
          code: 'value_invalid',
          subject: `${Mouse.spec.name}.weight`,
          detail: { row: 3, reason: 'a value must be given' },
        },
        { code: 'unknown_column', subject: `${Mouse.spec.name}.wait`, detail: { row: 3 } },
      ],
    });
    expect(JSON.stringify(bad)).not.toContain('secret');
    const many = Array.from({ length: 6000 }, (_, index) => ({ mouse: BigInt(index + 100), weight: '1' }));
    const twice = await insertRows(given.store, Mouse, [...many, { mouse: 777n, weight: '2' }], options);
    expect(twice).toMatchObject({
      status: 'refused',
      findings: [{ code: 'row_repeated', detail: { columns: ['mouse'], rows: [6001], count: 1 } }],
    });
    const notNumeric = await insertRows(
      given.store,
      Mouse,
      [...many, { mouse: 1_000_000n, weight: 'heavy' }],
      options,
    );
    expect(notNumeric).toMatchObject({
      status: 'refused',
      findings: [{ code: 'value_invalid', detail: { row: 6001 } }],
    });
    expect(await world.rows(Mouse)).toHaveLength(2);
    expect(await insertRows(given.store, Grade, [{ mouse: 1n, heavy: true }], options)).toMatchObject({
      findings: [{ code: 'not_manual', detail: { tier: 'computed' } }],
    });
    expect(await insertRows(given.store, Mouse, many, options)).toEqual({
      status: 'inserted',
      table: Mouse.spec.name,
      rows: 6000,
      replaced: 0,
      kept: 0,
      ingestion: expect.stringMatching(/^varve:\/\/ingestion\/\d+$/u),
    });
    const batches = await given.store.query(sql`select source, row_count from varve.ingestion
      where relation = ${(await world.relation(Mouse)).id} order by id`);
    expect(batches).toEqual([
      { source: 'test', row_count: 2 },
      { source: 'mice.csv', row_count: 6000 },
    ]);
  });

  it('brings a lookup to its new contents: old rows to history, rows in use stay', async () => {
    const schema = uniqueName('s');
    const define = (contents: readonly { code: string; label: string }[]) => {
      const defined = pipeline(schema);
      const Kind = defined.lookup('kind', {
        key: { code: t.text() },
        columns: { label: t.text() },
        contents,
      });
      const Thing = defined.manual('thing', { key: { id: t.integer() }, references: { kind: Kind } });
      return { defined, Kind, Thing };
    };
    const first = define([
      { code: 'a', label: 'A' },
      { code: 'b', label: 'B' },
      { code: 'c', label: 'C' },
    ]);
    const world = await deploy(given.store, first.defined);
    await world.insert(first.Thing, [{ id: 1, code: 'a' }]);
    const sync = async (contents: readonly { code: string; label: string }[]) => {
      const { defined, Kind } = define(contents);
      const relations = await loadRelations(given.store);
      const result = await given.store.transaction({}, (transaction) =>
        syncContents(transaction, relationOf(relations, Kind.spec.name), Kind.spec, {
          relations,
          run: 'varve://run/sync',
        }),
      );
      return { result, defined };
    };
    const refused = await sync([{ code: 'b', label: 'B' }]);
    expect(refused.result).toMatchObject({ status: 'refused', findings: [{ code: 'row_in_use' }] });
    expect(await world.rows(first.Kind)).toHaveLength(3);
    const { result, defined } = await sync([
      { code: 'a', label: 'AA' },
      { code: 'b', label: 'B' },
      { code: 'd', label: 'D' },
    ]);
    expect(result).toEqual({ status: 'synced', inserted: 1, updated: 1, removed: 1 });
    expect(await world.rows(first.Kind)).toEqual([
      { code: 'a', label: 'AA' },
      { code: 'b', label: 'B' },
      { code: 'd', label: 'D' },
    ]);
    expect(await history(given.store, first.Kind.spec.name, { key: { code: 'a' } })).toMatchObject({
      versions: [{ ended: null }, { ended: 'contents', rows: { [first.Kind.spec.name]: [{ label: 'A' }] } }],
    });
    const collected = definitionsOf([defined]);
    if (collected.status === 'refused') throw new Error('refused');
    const thing = collected.definitions.tableByName.get(`${schema}.thing`);
    if (thing === undefined) throw new Error('no table');
    await attach(given.store, collected.definitions).insert(thing, [{ id: 2, code: 'd' }]);
  });

  it('jobs of keys beyond 2^53 keep every digit', async () => {
    const defined = pipeline(uniqueName('s'));
    const Source = defined.manual('source', { key: { id: t.bigint() } });
    const Out = defined.computed('out', {
      parents: [Source],
      reads: { source: Source },
      make: () => {
        throw new Error('no');
      },
    });
    const world = await deploy(given.store, defined);
    await world.insert(Source, [{ id: 9007199254740993n }]);
    await world.populate();
    expect(await listJobs(given.store, [await world.relation(Out)])).toMatchObject([{ key: { id: BIG } }]);
  });
});

function names(table: string): readonly [string, string] {
  const dot = table.indexOf('.');
  return [table.slice(0, dot), table.slice(dot + 1)];
}

function shortVersion(table: string) {
  return ({ rows, sinceRun, untilRun, ended }: RowVersion) => [rows[table], sinceRun, untilRun, ended];
}
