import { describe, expect, it } from 'vitest';
import { t } from '../../src/pipeline/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { openLab } from './lab.ts';
import { declared, declaredFrom, undeclared, undeclaredFrom, type ReferenceCase } from './reference-case.ts';
import { liveState, SETTLED, settledState } from './state.ts';

type Text = ReturnType<typeof t.text>;

const CASES: readonly (readonly [string, ReferenceCase, readonly [string, string]])[] = [
  ['text', {}, [`'ä "b"'`, `'it''s'`]],
  [
    'uuid',
    { key: t.uuid() },
    [`'00000000-0000-4000-8000-000000000001'`, `'ffffffff-0000-4000-8000-000000000002'`],
  ],
  ['bigint', { key: t.bigint() as unknown as Text }, ['9007199254740993', '-1']],
  ['timestamptz', { key: t.timestamptz() }, [`'2026-03-01 00:00:00.123456+05'`, `'0099-01-01 00:00:00+00'`]],
  ['date', { key: t.date() }, [`'2026-03-01'`, `'1000-01-01'`]],
  ['numeric', { key: t.numeric() }, ['1.50', '12345678901234567890.5']],
  ['unique', { unique: true }, [`'a'`, `'b'`]],
  ['120 columns', { wide: 117 }, [`'a'`, `'b'`]],
];

function suite(given: StoreUnderTest): void {
  it.each(CASES)(
    'a composite, renamed reference (%s) is attributed, proved and taken back',
    async (_, some, keys) => {
      await using lab = await openLab(given.store);
      await lab.deploy(undeclared(some));
      await lab.store.script(`
      insert into lab.s values (1, 10), (2, 20);
      insert into lab.side values (1, ${keys[0]}, 7), (2, ${keys[1]}, 8);`);
      expect(await lab.populate(undeclared(some))).toMatchObject({ status: 'done' });
      const before = await liveState(lab.store);

      const id = await lab.planned(declared(some));
      expect(await lab.apply(declared(some), id)).toMatchObject({
        status: 'applied',
        tables: [{ table: 'lab.r', backfill: 2, recompute: 0, ambiguous: 0 }],
      });
      expect(await lab.stale(declared(some))).toMatchObject({ tables: [{ stale: [] }] });
      expect(await lab.verify(declared(some))).toMatchObject({ status: 'equal' });
      const after = await liveState(lab.store);

      const back = await lab.rollback(declared(some), id);
      expect(back).toMatchObject({ status: 'applied', direction: 'rollback', already: false });
      expect(await liveState(lab.store)).toEqual(before);
      expect(await lab.rollback(declared(some), id)).toMatchObject({ status: 'applied', already: true });
      expect(await lab.apply(declared(some), id)).toMatchObject({ status: 'applied', already: false });
      expect(await liveState(lab.store)).toEqual(after);
      expect(await settledState(lab.options(declared(some)))).toEqual(SETTLED);
    },
  );

  describe('a reference filled from a source', () => {
    it('keeps what the source still leads to, computes what it leads to elsewhere, and asks about what is gone', async () => {
      await using lab = await openLab(given.store);
      await lab.deploy(undeclaredFrom());
      await lab.store.script(`
        insert into lab.s values (1, 10, 1), (2, 20, 1), (3, 30, 3);
        insert into lab.side values (1, 7), (3, 9);`);
      await lab.populate(undeclaredFrom());
      await lab.store.script(`
        insert into lab.side values (2, 8);
        update lab.s set wanted = 2 where s = 2;
        delete from lab.side where side = 3;`);
      const plan = await lab.plan(declaredFrom(false));
      expect(plan).toMatchObject({
        outcome: {
          plan: { bound: { tables: [{ table: 'lab.r', backfill: 1, recompute: 1, ambiguous: 1 }] } },
        },
      });
      // With the lost row back, nothing is open any more.
      await lab.store.script('insert into lab.side values (3, 9)');
      await lab.deploy(declaredFrom(false));
      expect(await lab.rows('select * from lab.r order by s')).toEqual([
        { s: 1, side: 1, value: 17 },
        { s: 2, side: 2, value: 28 },
        { s: 3, side: 3, value: 39 },
      ]);
      expect(await lab.verify(declaredFrom(false))).toMatchObject({ status: 'equal' });
    });

    it('is empty where it is optional and nothing was found, and ambiguous where it is required', async () => {
      await using lab = await openLab(given.store);
      await lab.deploy(undeclaredFrom());
      await lab.store.script(
        'insert into lab.s values (1, 10, 1), (2, 20, null); insert into lab.side values (1, 7)',
      );
      await lab.populate(undeclaredFrom());
      expect(await lab.plan(declaredFrom(false))).toMatchObject({
        outcome: { findings: [{ code: 'rows_ambiguous', subject: 'lab.r', detail: { rows: 1 } }] },
      });
      await lab.deploy(declaredFrom(true));
      expect(await lab.rows('select * from lab.r order by s')).toEqual([
        { s: 1, side: 1, value: 17 },
        { s: 2, side: null, value: 20 },
      ]);
      expect(await lab.stale(declaredFrom(true))).toMatchObject({ tables: [{ stale: [] }] });
      expect(await lab.verify(declaredFrom(true))).toMatchObject({ status: 'equal' });
    });

    it('a row that changed since it was read is attributed, stale, and computed by the next populate', async () => {
      await using lab = await openLab(given.store);
      await lab.deploy(undeclaredFrom());
      await lab.store.script(
        'insert into lab.s values (1, 10, 1), (2, 20, 2); insert into lab.side values (1, 7), (2, 8)',
      );
      await lab.populate(undeclaredFrom());
      await lab.store.script('update lab.side set off = 70 where side = 1');
      await lab.deploy(declaredFrom(false));
      expect(await lab.rows('select * from lab.r order by s')).toEqual([
        { s: 1, side: 1, value: 17 },
        { s: 2, side: 2, value: 28 },
      ]);
      expect(await lab.stale(declaredFrom(false))).toMatchObject({
        tables: [{ stale: [{ key: { s: 1 }, reasons: [{ kind: 'inputs', reads: [{ read: 'side' }] }] }] }],
      });
      expect(await lab.verify(declaredFrom(false))).toMatchObject({
        status: 'stale',
        tables: [{ table: 'lab.r', equal: 1, stale: 1, differing: 0 }],
        findings: [{ code: 'verify_stale', detail: { rows: 1 } }],
      });
      expect(await lab.populate(declaredFrom(false))).toMatchObject({ tables: [{ computed: 1 }] });
      expect(await lab.verify(declaredFrom(false))).toMatchObject({ status: 'equal' });
    });
  });
}

withEmbedded('references of many shapes', suite);
withPostgres('references of many shapes', 15, suite);
withPostgres('references of many shapes', 18, suite);
