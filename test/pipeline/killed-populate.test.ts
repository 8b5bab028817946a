import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
import { listJobs } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';
import { uniqueName, withPostgres } from '../harness/index.ts';
import { countsOf, deploy } from './pipeline-lab.ts';
import { slowCode, slowLab } from './populate-child.ts';

withPostgres('a killed populate', 18, (given) => {
  it('20. leaves nothing half-written; the next run takes its keys over, each once', async () => {
    const schema = uniqueName('s');
    const { lab, source, out, piece } = slowLab(schema, 0);
    const world = await deploy(given.store, lab);
    await world.insert(
      source,
      Array.from({ length: 2000 }, (_, id) => ({ id })),
    );
    let before = 0;
    for (const batches of [1, 4]) {
      await killAfter(batches, schema);
      const rows = (await world.rows(out)).length;
      expect(rows).toBeGreaterThan(before);
      expect(rows).toBeLessThan(2000);
      before = rows;
      expect(await world.rows(piece)).toHaveLength(2 * rows);
      expect(await world.wrongOutputs(out)).toBe(0);
    }
    const last = await world.populate({ codeByTable: slowCode(schema) });
    expect(countsOf(last, out)).toEqual({
      computed: 2000 - before,
      failed: 0,
      remaining: 0,
      skippedUnchanged: before,
    });
    expect(await world.rows(piece)).toHaveLength(4000);
    expect(await world.wrongOutputs(out)).toBe(0);
    expect(await listJobs(given.store, [await world.relation(out)])).toEqual([]);
  });

  /** Starts the child and kills it once it has written so many batches. */
  async function killAfter(batches: number, schema: string): Promise<void> {
    const child = spawn(
      process.execPath,
      [new URL('populate-child.ts', import.meta.url).pathname, given.url(), schema],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.split('\n').length > batches) child.kill('SIGKILL');
    });
    const signal = await new Promise((resolve) => child.once('exit', (_code, name) => resolve(name)));
    expect(signal).toBe('SIGKILL');
    // As if its lease were over.
    await given.store.execute(sql`update varve_queue.job set heartbeat_on = now() - interval '1 day'`);
  }
});
