import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constant,
  integer,
  oneof,
  option,
  record,
  uniqueArray,
} from 'fast-check';
import { expect, it } from 'vitest';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { declaredFrom, undeclaredFrom } from './reference-case.ts';
import { liveState, SETTLED, settledState } from './state.ts';

const ONE = undeclaredFrom();
const TWO = declaredFrom(true);

/** Data as it was when rows were computed, and what became of it before the reference was declared. */
const world = record({
  sides: uniqueArray(integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  sources: array(option(integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 8 }),
  later: array(
    oneof(
      record({
        kind: constant('move' as const),
        s: integer({ min: 1, max: 8 }),
        to: integer({ min: 1, max: 5 }),
      }),
      record({ kind: constant('change' as const), side: integer({ min: 1, max: 4 }) }),
      record({ kind: constant('remove' as const), side: integer({ min: 1, max: 4 }) }),
      record({ kind: constant('add' as const), side: integer({ min: 1, max: 5 }) }),
      record({ kind: constant('adopt' as const), s: integer({ min: 9, max: 12 }) }),
    ),
    { maxLength: 4 },
  ),
});
type World = typeof world extends Arbitrary<infer W> ? W : never;

function statement(change: World['later'][number]): string {
  if (change.kind === 'move') return `update lab.s set wanted = ${change.to} where s = ${change.s}`;
  if (change.kind === 'change') return `update lab.side set off = off + 100 where side = ${change.side}`;
  if (change.kind === 'remove') return `delete from lab.side where side = ${change.side}`;
  if (change.kind === 'add') return `insert into lab.side values (${change.side}, 50) on conflict do nothing`;
  return `insert into lab.s values (${change.s}, 1, null) on conflict do nothing;
    insert into lab.r values (${change.s}, 1) on conflict do nothing`;
}

function suite(given: StoreUnderTest): void {
  it('after apply and populate the state equals dropping everything; kept values stay; the way back is exact', async () => {
    await assert(
      asyncProperty(world, async ({ sides, sources, later }) => {
        await using lab = await openLab(given.store);
        await lab.deploy(ONE);
        const rows = sources.map((wanted, index) => `(${index + 1}, ${index * 10}, ${wanted ?? 'null'})`);
        await lab.store.script(`
          insert into lab.side select i, i from unnest(array[${sides.join(',')}]) i;
          insert into lab.s values ${rows.join(',')};`);
        await lab.populate(ONE);
        for (const change of later) await lab.store.script(statement(change));
        const before = await liveState(lab.store);
        const values = await lab.rows('select s, value from lab.r order by s');

        const id = await lab.planned(TWO, { 'lab.r': 'recompute' });
        const outcome = await lab.apply(TWO, id);
        expect(outcome).toMatchObject({ status: 'applied' });
        const kept = await lab.rows(`
          select s, r.value from lab.r r join varve.relation l on l.name = 'lab.r' and l.state = 'live'
          join varve.computation c on c.relation = l.id and c.key_hash = substr(varve.digest_1(r.s::text), 1, 16)
          join varve.computation_spec p on p.id = c.spec and p.origin = 'attributed' order by s`);
        expect(values).toEqual(expect.arrayContaining([...kept]));
        const again = lab.rollback(TWO, id);
        expect(await again).toMatchObject({ status: 'applied' });
        expect(await liveState(lab.store)).toEqual(before);

        expect(await lab.apply(TWO, id)).toMatchObject({ status: 'applied' });
        await lab.populate(TWO);
        expect(await lab.verify(TWO)).toMatchObject({ status: 'equal' });
        expect(await settledState(lab.options(TWO))).toEqual(SETTLED);
      }),
      { numRuns: Number(process.env['VARVE_TEST_RUNS'] ?? 8) },
    );
  }, 180_000);
}

withEmbedded('any data and any recorded reads', suite);
withPostgres('any data and any recorded reads', 18, suite);
