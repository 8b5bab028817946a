/** The command line: how long it takes to start where no database is opened. */
import { spawnSync } from 'node:child_process';
import { alternate, atMost, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

const ROUNDS = 15;

/** Measures whole processes, from their start to their end. */
export async function benchCli({ progress }: BenchStores): Promise<readonly Figure[]> {
  progress('starting');
  const [help = Number.NaN, version = Number.NaN] = await alternate(ROUNDS, [
    () => start('--help'),
    () => start('--version'),
  ]);
  return [atMost('varve --help', help, 'ms', 100), atMost('varve --version', version, 'ms', 100)];
}

async function start(flag: string): Promise<number> {
  return timedMs(() => Promise.resolve(spawnSync(process.execPath, ['bin/varve.js', flag])));
}
