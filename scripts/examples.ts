// Runs every numbered example, in order, as a reader would: `examples/NN-name/run.ts`.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LIMIT_MS = 600_000;

const folders = existsSync('examples') ? readdirSync('examples', { withFileTypes: true }) : [];
const examples = folders
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .toSorted();
const faults = examples.map(faultOf).filter((fault) => fault !== undefined);

console.log(`${examples.length - faults.length} of ${examples.length} examples ran`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;

function faultOf(name: string): string | undefined {
  const filePath = join('examples', name, 'run.ts');
  if (!/^\d\d-/.test(name)) return `examples/${name}: the name begins with two digits, which give the order`;
  if (!existsSync(filePath)) return `${filePath} is missing`;
  const { status, signal, stdout, stderr } = spawnSync('node', ['--conditions=@varve/source', filePath], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  if (status === 0) return undefined;
  return `${filePath} ended with ${signal ?? `status ${status}`}\n${stdout}${stderr}`;
}
