import { expect, it } from 'vitest';
import { withStores } from '../../../../../test/harness/index.ts';
import { canonicalJson } from '../../../../base/index.ts';
import {
  diffBaselines,
  isComparable,
  proveEqual,
  touchedCsv,
  validateSchema,
  type Baseline,
} from '../../../../evidence/index.ts';
import { measureBaseline, type BaselineSubject } from './index.ts';

const KEY = new TextEncoder().encode('a key of thirty-two bytes or more');

withStores('baseline', (given) => {
  const make = async (): Promise<{ schema: string; subject: BaselineSubject }> => {
    const schema = await given.freshSchema();
    await given.store.script(`create table "${schema}".t (id int primary key, v text default 'hidden word');
      create table "${schema}".p (id int, at text); insert into "${schema}".p values (1, 'secret place');
      insert into "${schema}".t select i, 'v' || i from generate_series(1, 3) i; create sequence "${schema}".q`);
    const subject = {
      scope: { schemas: [schema] },
      tables: [`${schema}.t`, `${schema}.absent`],
      protectedTables: [`${schema}.p`],
      protectedKey: KEY,
    };
    return { schema, subject };
  };
  const measured = async (subject: BaselineSubject): Promise<Baseline> => {
    const outcome = await measureBaseline(given.store, subject);
    if (outcome.status === 'refused') throw new Error(outcome.findings[0]?.code);
    return outcome.baseline;
  };

  it('M32 M33 equal state gives equal bytes that the schema accepts, with no value in them', async () => {
    const { subject } = await make();
    const [one, two] = [await measured(subject), await measured(subject)];
    expect(canonicalJson(one)).toBe(canonicalJson(two));
    expect(await validateSchema('baseline.v1', one)).toEqual([]);
    expect(one).toMatchObject({
      algorithm: 'pg-catalog/1',
      tables: [{ rows: 3 }],
      protected_fingerprint: { tables: [{ rows: 1 }] },
    });
    expect(canonicalJson(one)).not.toMatch(/hidden word|secret place/u);
  });

  it('M72 M106 what others make elsewhere is told, and no digest that a way back is held to has it', async () => {
    const { schema, subject } = await make();
    const pre = await measured(subject);
    const elsewhere = await given.freshSchema();
    await given.store.script(`create table "${elsewhere}".t (id int)`);
    const post = await measured(subject);
    expect(proveEqual(pre, post, [])).toMatchObject({ status: 'equal' });
    const told = diffBaselines(pre, post).classes ?? [];
    expect(told).toContainEqual({ change: 'added', kind: 'relation', schema: elsewhere });
    expect(told.filter((each) => each.schema === schema)).toEqual([]);
  });

  it('M34 the derived difference names tables, objects and properties, and M35 touched.csv lists them sorted', async () => {
    const { schema, subject } = await make();
    const pre = await measured(subject);
    await given.store
      .script(`alter table "${schema}".t alter column v set default 'other word'; create index i on "${schema}".t (v);
      update "${schema}".t set v = 'x' where id = 1; select nextval('"${schema}".q')`);
    const post = await measured(subject);
    const derived = diffBaselines(pre, post);
    expect(derived).toMatchObject({
      schema_changed: true,
      order_changed: false,
      sequence_positions_changed: true,
      protected_changed: [],
      tables: [{ table: `${schema}.t`, change: 'changed', rows_before: 3, rows_after: 3 }],
      objects: [
        { change: 'changed', kind: 'column', table: 't', name: 'v', properties: ['default'] },
        { change: 'added', kind: 'index', table: 't', name: 'i' },
      ],
      classes: [
        { change: 'changed', kind: 'column', schema },
        { change: 'changed', kind: 'index', schema },
      ],
    });
    const again = diffBaselines(
      JSON.parse(canonicalJson(pre)) as Baseline,
      JSON.parse(canonicalJson(post)) as Baseline,
    );
    expect(canonicalJson(again)).toBe(canonicalJson(derived));
    const summary = {
      diff_version: 'v1',
      declared: { scope: {}, limits: {} },
      derived,
      witnessed: { layers: [], objects: [], tables: [] },
      verdicts: [],
    };
    expect(await validateSchema('diff_summary.v1', summary)).toEqual([]);
    expect(touchedCsv(derived, new Map([[`${schema}.t`, 1]]))).toBe(
      `kind,schema,name,change,rows\ncolumn,${schema},t.v,changed,\nindex,${schema},t.i,added,\nrows,${schema},t,changed,1\n`,
    );
    expect(proveEqual(pre, post, [])).toMatchObject({ status: 'not_equal' });
  });

  it('M123 protected rows are refused without a usable key, and their change is named under one', async () => {
    const { schema, subject } = await make();
    const { protectedKey: _, ...without } = subject;
    expect(await measureBaseline(given.store, without)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'protected_key_unusable', detail: { reason: 'missing' } }],
    });
    expect(await measureBaseline(given.store, { ...subject, protectedKey: KEY.slice(0, 31) })).toMatchObject({
      status: 'refused',
      findings: [{ detail: { reason: 'short' } }],
    });
    const pre = await measured(subject);
    const other = await measured({ ...subject, protectedKey: KEY.map((byte) => byte ^ 1) });
    expect(isComparable(pre, other)).toBe(false);
    await given.store.script(`update "${schema}".p set at = 'elsewhere'`);
    const post = await measured(subject);
    expect(diffBaselines(pre, post)).toMatchObject({
      schema_changed: false,
      protected_changed: [`${schema}.p`],
    });
    expect(proveEqual(pre, post, [])).toMatchObject({ status: 'not_equal' });
  });
});
