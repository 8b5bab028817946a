import { readFile } from 'node:fs/promises';
import { arch, cpus, loadavg, platform, totalmem } from 'node:os';
import { sql, type Store } from '../src/store/index.ts';

/** What the figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly platform: string;
  /** Average number of processes that ran or waited in the minute before the end: beyond `cores`, times are too long. */
  readonly load: number;
}

/** Releases of what was measured. */
export interface Versions {
  readonly varve: string;
  readonly node: string;
  readonly postgresql: string;
  readonly pglite: string;
}

/** The machine as it is now. */
export function describeMachine(): Machine {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${platform()} ${arch()}`,
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}

/** Asks the server for its release; the package file has the others, which are pinned. */
export async function describeVersions(server: Store): Promise<Versions> {
  const file = await readFile(new URL('../package.json', import.meta.url), 'utf8');
  const { version, dependencies } = JSON.parse(file) as {
    readonly version: string;
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const [row] = await server.query<{ version: string }>(
    sql`select current_setting('server_version') as version`,
  );
  return {
    varve: version,
    node: process.versions.node,
    postgresql: row?.version ?? 'unknown',
    pglite: dependencies['@electric-sql/pglite'] ?? 'unknown',
  };
}
