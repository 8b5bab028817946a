import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../../test/harness/index.ts';
import { cascade } from './cascade.ts';
import { catalogGraph } from './catalog-graph.ts';

/** Conditions that are none, or that would do more than choose rows: refused, with what the finding says. */
const HOSTILE: readonly (readonly [where: string, detail: Readonly<Record<string, unknown>>])[] = [
  ['true) or (true', { reason: 'syntax error at or near ")"', position: 5 }],
  ['true) --', { reason: 'syntax error at or near ")"' }],
  ['true; drop table m', { reason: 'more than one statement' }],
  ['true; select 1', { reason: 'more than one statement' }],
  ['true order by 1', { reason: 'more than a condition' }],
  ['true group by 1', { reason: 'more than a condition' }],
  ['true union all select', { reason: 'more than a condition' }],
  ['true for update', { reason: 'more than a condition' }],
  ['true limit 1', { reason: 'more than a condition' }],
  ['true /*', { reason: 'unterminated /* comment at or near "/*' }],
  ["name = 'x", {}],
  ['', {}],
  ['id = $1', { reason: 'a parameter that nobody gives a value' }],
  ['nmae = 1', { reason: 'no such column', position: 1 }],
  ["'é' = 'é' and nmae = 'x'", { reason: 'no such column', position: 15 }],
  ['id', { reason: 'not a condition: its type is not boolean' }],
  ["id = 'x'", { reason: 'a constant does not fit the type it is compared with', position: 6 }],
  ['id = 1 / 0', { reason: 'division by zero' }],
  ["nextval('q') > 0", { reason: 'it would write, and a walk only reads' }],
  ["set_config('transaction_read_only', 'off', false) = 'off'", {}],
  ['writes() = 1', { reason: 'it would write, and a walk only reads' }],
  ['exists (select from nowhere)', { reason: 'no such table' }],
];

function suite(given: StoreUnderTest): void {
  const tables = `create table m (id int primary key, name text); insert into m values (1, 'a'), (2, 'b');
    create sequence q; create function writes() returns int language sql as 'delete from m returning 1'`;

  it.each(HOSTILE)('refuses %s', async (where, detail) => {
    const schema = await given.freshSchema();
    await given.store.script(`set search_path = "${schema}"; ${tables}; reset search_path`);
    const graph = await catalogGraph(given.store);
    const named = where.replace('writes()', `"${schema}".writes()`).replace("'q'", `'"${schema}".q'`);
    const bodied = `create or replace function "${schema}".writes() returns int language sql as 'delete from "${schema}".m returning 1'`;
    await given.store.script(bodied);
    const outcome = await cascade(given.store, graph, { table: `${schema}.m`, where: named });
    expect(outcome).toMatchObject({
      status: 'refused',
      findings: [{ code: 'where_invalid', subject: `${schema}.m` }],
    });
    if (outcome.status === 'refused' && detail['reason'] !== undefined) {
      const found = outcome.findings[0]?.detail ?? {};
      expect(JSON.stringify(found['reason'])).toContain(JSON.stringify(detail['reason']).slice(1, -1));
      if (detail['position'] !== undefined) expect(found['position']).toBe(detail['position']);
    }
    expect((await cascade(given.store, graph, { table: `${schema}.m` })).status === 'ok').toBe(true);
  });

  it.each([
    ['id = 1 -- the first', 1],
    ['(id = 1) or (id = 2)', 2],
    ["name in (select 'a')", 1],
    ['m.id = 1', 1],
    ["name = ');--'", 0],
  ])('takes %s', async (where, rows) => {
    const schema = await given.freshSchema();
    await given.store.script(
      `set search_path = "${schema}"; ${tables.split(';')[0] ?? ''}; insert into m values (1, 'a'), (2, 'b'); reset search_path`,
    );
    expect(
      await cascade(given.store, await catalogGraph(given.store), { table: `${schema}.m`, where }),
    ).toMatchObject({
      status: 'ok',
      rows,
    });
  });

  it('suggests the nearest table and column', async () => {
    const schema = await given.freshSchema();
    await given.store.script(`create table "${schema}".mouse (mouse_id int primary key)`);
    const graph = await catalogGraph(given.store);
    expect(await cascade(given.store, graph, { table: `${schema}.mouze` })).toMatchObject({
      findings: [{ code: 'unknown_table', hint: `Ask for ${schema}.mouse.` }],
    });
    expect(
      await cascade(given.store, graph, { table: `${schema}.mouse`, where: 'mouse_ip = 1' }),
    ).toMatchObject({
      findings: [{ code: 'where_invalid', hint: 'Write mouse_id.' }],
    });
  });
}

withEmbedded('conditions', suite);
withPostgres('conditions', 15, suite);
withPostgres('conditions', 18, suite);
