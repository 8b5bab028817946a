import { expect, it } from 'vitest';
import { openLab, worldOf, type Lab } from '../../../test/evolution/lab.ts';
import { definitionsFrom } from '../../../test/evolution/side-pipeline.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../../test/harness/index.ts';
import { adopted, pipeline, t, type Pipeline } from '../../pipeline/index.ts';
import { sql, type Row } from '../../store/index.ts';
import { planEvolution, type EvolutionPlan } from '../index.ts';

const STANDING = `
  create table SCHEMA."#kind" (kind text primary key, legs integer not null);
  insert into SCHEMA."#kind" values ('mouse', 4), ('finch', 2);
  create table SCHEMA.animal (id integer primary key, kind text references SCHEMA."#kind", weight double precision not null);
  insert into SCHEMA.animal values (1, 'mouse', 20.5), (2, 'finch', 11), (3, null, 7);
  create table SCHEMA.__heavy (id integer primary key references SCHEMA.animal, heavy boolean not null);
  insert into SCHEMA.__heavy values (1, true), (2, false);
`;

const KINDS = [
  { kind: 'mouse', legs: 4 },
  { kind: 'finch', legs: 2 },
];

interface Difference {
  readonly legs?: 'smallint' | 'nullable' | 'none' | 'another';
  readonly contents?: readonly { readonly kind: string; readonly legs: number }[];
  readonly key?: 'another';
  readonly reference?: 'none' | 'unique';
  readonly make?: 'known';
}

/** Definitions of what stands there, or of something a little different. */
function defined(schema: string, different: Difference = {}): Pipeline {
  const lab = pipeline(schema);
  const legs = {
    smallint: { legs: t.smallint() },
    nullable: { legs: t.integer().nullable() },
    none: {},
    another: { legs: t.integer(), wings: t.integer() },
    as: { legs: t.integer() },
  }[different.legs ?? 'as'];
  const kind =
    different.legs === undefined
      ? lab.lookup('kind', {
          key: { kind: t.text() },
          columns: { legs: t.integer() },
          contents: different.contents ?? KINDS,
        })
      : lab.manual('kind', { key: { kind: t.text() }, columns: legs });
  const reference = { none: kind, unique: kind.optional().unique(), as: kind.optional() }[
    different.reference ?? 'as'
  ];
  const own = { weight: t.double() };
  const animal =
    different.key === 'another'
      ? lab.manual('animal', { key: { id: t.integer(), ...own }, references: { kind: reference } })
      : lab.manual('animal', { key: { id: t.integer() }, references: { kind: reference }, columns: own });
  lab.computed('heavy', {
    parents: [animal],
    columns: { heavy: t.boolean() },
    reads: { animal },
    make: different.make === 'known' ? ({ animal: { weight } }) => ({ heavy: weight > 15 }) : adopted(),
  });
  return lab;
}

function suite(given: StoreUnderTest): void {
  const plan = (lab: Lab, to: Pipeline, adopt: boolean): Promise<EvolutionPlan> =>
    planEvolution(lab.options(to), worldOf(definitionsFrom(to)), {}, { adopt });
  const planned = async (lab: Lab, to: Pipeline): Promise<string> => {
    const made = await plan(lab, to, true);
    if (made.status !== 'planned') throw new Error(JSON.stringify(made));
    expect(made.outcome.findings).toEqual([]);
    return made.migrationId;
  };
  const standing = async (schema: string): Promise<readonly Row[]> =>
    given.store.query(sql`
      select a.ctid::text, a.xmin::text, a.*, h.ctid::text as "at", h.heavy from ${sql.id(schema, 'animal')} a
      left join ${sql.id(schema, '__heavy')} h using (id) order by a.id`);
  const stand = async (): Promise<string> => {
    const schema = await given.freshSchema();
    await given.store.script(STANDING.replaceAll('SCHEMA', schema));
    return schema;
  };
  const codesOf = (made: EvolutionPlan): readonly string[] => {
    if (made.status === 'nothing') return ['nothing'];
    const findings = made.status === 'refused' ? made.findings : made.outcome.findings;
    return findings.map(({ code }) => code);
  };

  it('is applied, rolled back and applied again, with no row touched', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const before = await standing(schema);
    const to = defined(schema);
    const id = await planned(lab, to);
    expect(await lab.apply(to, id)).toMatchObject({ status: 'applied', already: false });
    expect(await lab.rows('select name, physical_name, state from varve.relation order by id')).toEqual([
      { name: `${schema}.kind`, physical_name: '#kind', state: 'live' },
      { name: `${schema}.animal`, physical_name: 'animal', state: 'live' },
      { name: `${schema}.heavy`, physical_name: '__heavy', state: 'live' },
    ]);
    expect(await lab.rollback(to, id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await lab.rows('select name from varve.relation')).toEqual([]);
    expect(await lab.apply(to, await planned(lab, to))).toMatchObject({ status: 'applied', already: false });
    expect(await standing(schema)).toEqual(before);
  });

  it('leaves a table without a known make out of populate, until it has one', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const to = defined(schema);
    await lab.apply(to, await planned(lab, to));
    const codes = ({ findings }: Awaited<ReturnType<Lab['populate']>>): readonly string[] =>
      findings.map(({ code, severity }) => `${severity} ${code}`);
    const all = await lab.populate(to);
    expect(all.status).toBe('done');
    expect(codes(all)).toEqual(['warning make_unknown']);
    const named = await lab.populate(to, [`${schema}.heavy`]);
    expect(named.status).toBe('refused');
    expect(codes(named)).toEqual(['error make_unknown']);
    // The make is code, so that giving it is no evolution.
    const known = defined(schema, { make: 'known' });
    expect(await lab.populate(known)).toMatchObject({ status: 'done', tables: [{ computed: 1 }] });
    expect((await standing(schema)).map(({ heavy }) => heavy)).toEqual([true, false, false]);
  });

  it('keeps what was recorded since when it is rolled back, and the table with all its rows', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const to = defined(schema, { make: 'known' });
    const id = await planned(lab, to);
    await lab.apply(to, id);
    await lab.populate(to);
    const before = await standing(schema);
    expect(await lab.rollback(to, id)).toMatchObject({ status: 'applied', direction: 'rollback' });
    expect(await standing(schema)).toEqual(before);
    expect(
      await lab.rows(`select r.physical_schema, r.state, count(*)::integer as computations
        from varve.relation r join varve.computation c on c.relation = r.id group by 1, 2`),
    ).toEqual([{ physical_schema: 'varve_history', state: 'retired', computations: 1 }]);
    expect(await lab.apply(to, await planned(lab, to))).toMatchObject({ status: 'applied', already: false });
    expect(await standing(schema)).toEqual(before);
  });

  it('is refused while the apply is under way where the table changed since the plan', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const to = defined(schema);
    const id = await planned(lab, to);
    await given.store.script(`alter table ${schema}.animal add column name text`);
    expect(await lab.apply(to, id)).toMatchObject({ status: 'refused' });
    expect(await lab.rows('select name from varve.relation')).toEqual([]);
    await given.store.script(`drop table ${schema}.__heavy`);
    expect(await lab.apply(to, id)).toMatchObject({ status: 'refused' });
  });

  const cases: readonly (readonly [string, Difference, string])[] = [
    ['a column of another type', { legs: 'smallint' }, 'column legs is integer, not smallint'],
    ['a column that must not be null', { legs: 'nullable' }, 'column legs must not be null'],
    ['a column that is not defined', { legs: 'none' }, 'column legs is not defined'],
    ['a column that is not there', { legs: 'another' }, 'column wings is not there'],
    ['another key', { key: 'another' }, 'the primary key'],
    ['a column that may be null', { reference: 'none' }, 'column kind may be null'],
    ['a unique column', { reference: 'unique' }, '(kind) is not unique'],
    ['other contents', { contents: KINDS.slice(1) }, 'its contents'],
  ];
  it.each(cases)('is refused for %s', async (_, different, difference) => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const made = await plan(lab, defined(schema, different), true);
    expect(codesOf(made)).toContain('adopt_differs');
    expect(JSON.stringify(made)).toContain(difference);
    expect(await lab.rows('select name from varve.relation')).toEqual([]);
  });

  it('is never done without being asked for', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const made = await plan(lab, defined(schema), false);
    expect(codesOf(made)).toEqual(['table_exists', 'table_exists', 'table_exists']);
    expect(JSON.stringify(made)).toContain('varve plan --adopt');
  });

  it('goes with the creation of tables that are not there', async () => {
    await using lab = await openLab(given.store);
    const schema = await stand();
    const to = defined(schema, { make: 'known' });
    to.manual('more', { key: { more: t.integer() } });
    await lab.apply(to, await planned(lab, to));
    expect(definitionsFrom(to).set.tables).toHaveLength(4);
    expect(await lab.rows(`select count(*)::integer as n from ${schema}.more`)).toEqual([{ n: 0 }]);
  });
}

withEmbedded('the life of adopt_table', suite);
withPostgres('the life of adopt_table', 18, suite);
