/** Processor time of a server on this machine: what others do on a busy one changes it less than it changes times. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { sql, type Store } from '../../src/store/index.ts';

/** Seconds that all processes of the server have used so far, those that ended too; undefined where the system does not tell. */
export async function serverSeconds(store: Store): Promise<number | undefined> {
  const [row] = await store.query<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  const server = statOf(row?.pid)?.parent;
  const own = statOf(server);
  if (server === undefined || own === undefined) return undefined;
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(server)], { encoding: 'utf8' });
  const running = children
    .trim()
    .split(/\s+/u)
    .reduce((sum, pid) => sum + (statOf(Number(pid))?.ticks ?? 0), 0);
  return (own.ticks + own.endedTicks + running) / TICKS_PER_SECOND;
}

/** What Linux reports in, whatever its kernel counts in. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  /** Of children that ended. */
  readonly endedTicks: number;
}

function statOf(pid: number | undefined): Stat | undefined {
  if (pid === undefined) return undefined;
  try {
    // Behind the name, which stands in brackets: state, parent, ..., user, system, and both of children that ended.
    const fields =
      readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
        .split(') ')
        .at(-1)
        ?.split(' ') ?? [];
    const ticks = (at: number): number => Number(fields[at] ?? 0);
    return { parent: ticks(1), ticks: ticks(11) + ticks(12), endedTicks: ticks(13) + ticks(14) };
  } catch {
    return undefined;
  }
}
