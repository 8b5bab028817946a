// Runs every numbered example, in order, as a reader would: `examples/NN-name/run.ts`. What one brings along, in a
// `corpora/package.json` of its own, is installed the first time.
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
  return (
    installFault(join('examples', name, 'corpora')) ??
    runFault(filePath, 'node', ['--conditions=@varve/source', filePath])
  );
}

function installFault(folder: string): string | undefined {
  const isWanted = existsSync(join(folder, 'package.json'));
  if (!isWanted || existsSync(join(folder, 'node_modules/.package-lock.json'))) return undefined;
  return runFault(folder, 'npm', ['ci', '--prefix', folder]);
}

function runFault(what: string, file: string, args: readonly string[]): string | undefined {
  const { status, signal, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', timeout: LIMIT_MS });
  return status === 0 ? undefined : `${what} ended with ${signal ?? `status ${status}`}\n${stdout}${stderr}`;
}
