/**
 * Processor time of processes on this machine, all their threads together: what a busy machine changes little, while it
 * stretches times. Linux only, from `/proc/PID/task/THREAD/schedstat`, whose first number is nanoseconds on a processor.
 */
import { readdir, readFile } from 'node:fs/promises';
import { sql, type Store } from '../../src/store/index.ts';

/** Milliseconds that these processes and the sessions of the server have used so far; 0 where the system does not tell. */
export async function processorMs(server: Store, processIds: readonly number[]): Promise<number> {
  const sessions = await server.query<{ pid: number }>(
    sql`select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  const all = await Promise.all([...processIds, ...sessions.map(({ pid }) => pid)].map(ofProcess));
  return all.reduce((sum, ms) => sum + ms, 0);
}

async function ofProcess(processId: number): Promise<number> {
  const folder = `/proc/${processId}/task`;
  const threads = await readdir(folder).catch(() => []);
  const texts = await Promise.all(
    threads.map((thread) => readFile(`${folder}/${thread}/schedstat`, 'utf8').catch(() => '0')),
  );
  return texts.reduce((sum, text) => sum + Number(text.split(' ')[0]) / 1e6, 0);
}
