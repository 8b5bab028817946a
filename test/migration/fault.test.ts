import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Finding } from '../../src/base/index.ts';
import { verifyAll } from '../../src/evidence/index.ts';
import {
  applyMigration,
  folderReader,
  readStatus,
  showReceipt,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { sql } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { withEmbedded, withPostgres, type StoreUnderTest } from '../harness/index.ts';
import { FAULT_CASES, type FaultCase } from './fault-case.ts';
import { planSql } from './sql-bundle.ts';
import { sqlScene } from './sql-scene.ts';

function suite(given: StoreUnderTest): void {
  const scene = sqlScene(given);
  let count = 0;

  const cases = FAULT_CASES.filter(({ onServerOnly, onEmbeddedOnly }) =>
    given.name === 'embedded' ? onServerOnly !== true : onEmbeddedOnly !== true,
  );
  it.each(cases.map((each) => [each.title, each] as const))(
    '%s',
    async (_title, fault) => {
      const schema = await given.freshSchema();
      const named = (text: string): string => text.replaceAll(':s', schema);
      count += 1;
      const id = `PG-MIG-2026-05-${String(10 + Math.floor(count / 90))}-${String((count % 90) + 1).padStart(2, '0')}`;
      await given.store.script(named(fault.given));
      const { bundle } = fault;
      const planned = await planSql(scene.options, {
        ...bundle,
        id,
        schema,
        forward: named(bundle.forward),
        rollback: 'drop table if exists nothing_at_all',
      });
      if (planned.status === 'refused') throw new Error(JSON.stringify(planned.findings));
      if (fault.end !== 'refused') expect(planned.findings).toEqual([]);
      const outcome = await applyMigration(scene.options, id);
      expect(outcome, JSON.stringify(outcome.findings)).toMatchObject({ status: fault.end });
      expectFindings(outcome.findings, fault, named);
      await expectState(given, named(fault.after), fault.wantAfter);
      await expectReceipt(scene.options, id, fault);
      expect((await readStatus(scene.options)).unfinished).toEqual([]);
    },
    60_000,
  );

  it('every receipt of these runs verifies offline', async () => {
    expect((await verifyAll(folderReader(scene.root))).findings).toEqual([]);
    expect(await given.store.query(sql`select evtname from pg_event_trigger`)).toEqual([]);
    expect(
      await given.store.query(sql`select tgname from pg_trigger where tgname like 'varve_deny%'`),
    ).toEqual([]);
  });
}

function expectFindings(
  findings: readonly Finding[],
  fault: FaultCase,
  named: (text: string) => string,
): void {
  for (const want of fault.codes) {
    const [code, subject] = typeof want === 'string' ? [want, undefined] : want;
    expect(findings).toContainEqual(
      expect.objectContaining({ code, ...(subject === undefined ? {} : { subject: named(subject) }) }),
    );
  }
}

/** Over a connection of its own where there is a server; the embedded store has one session. */
async function expectState(given: StoreUnderTest, query: string, want: string): Promise<void> {
  if (given.name === 'embedded') {
    expect(await given.store.query(sql.raw(query))).toEqual([{ state: want }]);
    return;
  }
  await using another = await postgresStore({ url: given.url(), poolSize: 1 });
  expect(await another.query(sql.raw(query))).toEqual([{ state: want }]);
}

async function expectReceipt(options: RunnerOptions, id: string, fault: FaultCase): Promise<void> {
  const shown = await showReceipt(options.root, id);
  if (fault.end === 'refused') {
    expect(shown.status).toBe('refused');
    return;
  }
  const summary: { verdicts: readonly { limit: string; observed: number }[] } = JSON.parse(
    await readFile(join(options.root, 'postgis', id, 'diffs/summary.json'), 'utf8'),
  );
  const observed = Object.fromEntries(summary.verdicts.map(({ limit, observed: found }) => [limit, found]));
  if (fault.observed !== undefined) expect(observed).toMatchObject(fault.observed);
  expect(shown).toMatchObject({
    status: 'ok',
    receipt: { outcome: fault.end === 'applied' ? 'committed' : 'rolled_back' },
  });
}

withEmbedded('fault cases', suite);
withPostgres('fault cases', 18, suite);
