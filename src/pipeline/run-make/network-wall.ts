import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What keeps an isolated process from the network, beside the guard: the kernel, the runtime, or nothing. */
export type NetworkWall = 'namespace' | 'permission' | 'none';

/** The wall of this machine, and what a process is started through to stand behind it. */
export interface NetworkWallCommand {
  readonly wall: NetworkWall;
  readonly prefix: readonly string[];
}

let known: NetworkWallCommand | undefined;

/** Tries it once: a network namespace costs some 10 ms a process, and a container may forbid it. */
export function networkWall(): NetworkWallCommand {
  return (known ??= findWall());
}

function findWall(): NetworkWallCommand {
  const tool =
    process.platform === 'linux' ? ['/usr/bin/unshare', '/bin/unshare'].find(existsSync) : undefined;
  // Where the user may not make a namespace, one may that the user is root of: mapped to itself, nothing else changes.
  const ways = [['--net'], ['--user', '--map-current-user', '--net']];
  for (const way of tool === undefined ? [] : ways) {
    const prefix = [tool ?? '', ...way, '--'];
    const [command, ...args] = [...prefix, process.execPath, '--version'];
    if (spawnSync(command, args, { timeout: 5000, env: {} }).status === 0)
      return { wall: 'namespace', prefix };
  }
  // A runtime that can allow the network under the permission model forbids it otherwise.
  const wall = process.allowedNodeEnvironmentFlags.has('--allow-net') ? 'permission' : 'none';
  return { wall, prefix: [] };
}
