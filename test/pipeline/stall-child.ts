/**
 * Stops its own process in the middle of a transaction, as a stalled machine would: `node stall-child.ts URL SCHEMA take`
 * while it takes keys, `... write` once it holds their fence. Prints `stalls`, and after it is woken what became of it.
 */
import { isVarveError } from '../../src/base/index.ts';
import { loadRelations, relationOf } from '../../src/pipeline/index.ts';
import { sharedReservations } from '../../src/pipeline/share/reservation.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { sql } from '../../src/store/index.ts';

const [url = '', schema = '', where = ''] = process.argv.slice(2);

function stall(): void {
  process.stdout.write('{"stalls":true}\n');
  process.kill(process.pid, 'SIGSTOP');
}

async function work(): Promise<string> {
  await using store = await postgresStore({ url });
  const relation = relationOf(await loadRelations(store), `${schema}.trace`);
  await using reservations = await sharedReservations(store, { runId: 900_000_000, leaseSeconds: 10 });
  const taken = await reservations.take({ relation, mode: 'insert', silentSeconds: 0 }, async () => {
    if (where === 'take') stall();
    await store.query(sql`select 1`);
    return [{ id: 0 }];
  });
  await store.transaction({}, async (transaction) => {
    await transaction.query(taken?.fence ?? sql`select 1`);
    stall();
    await transaction.query(sql`select 1`);
  });
  return 'went on';
}

const became = await work().catch((error: unknown) => (isVarveError(error) ? error.code : String(error)));
process.stdout.write(`${JSON.stringify({ became })}\n`);
