// Runs the scripts `check:*` of package.json, two at a time, and shows the output of those that fail.
//
//   npm run check                    all of them
//   npm run check -- lint types      these only
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';

interface Outcome {
  readonly name: string;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

const PREFIX = 'check:';
const AFTER: Readonly<Record<string, string>> = { package: 'build' };
const WORKERS = 2;

process.exitCode = (await runAll(chosenSteps())) ? 0 : 1;

async function runAll(steps: ReadonlyMap<string, string>): Promise<boolean> {
  const startedAt = performance.now();
  const outcomeByStep = new Map<string, Promise<Outcome>>();
  const waiting = [...steps];
  const workers = Array.from({ length: WORKERS }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, command] = next;
      const before = outcomeByStep.get(AFTER[name] ?? '');
      const outcome = runStep(name, command, before);
      outcomeByStep.set(name, outcome);
      report(await outcome);
    }
  });
  await Promise.all(workers);
  const outcomes = await Promise.all(outcomeByStep.values());
  const failed = outcomes.filter((outcome) => !outcome.passed).map((outcome) => outcome.name);
  console.log(
    `\n${outcomes.length - failed.length} of ${outcomes.length} steps passed in ${since(startedAt)} s`,
  );
  if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`);
  return failed.length === 0;
}

async function runStep(
  name: string,
  command: string,
  before: Promise<Outcome> | undefined,
): Promise<Outcome> {
  const needed = await before;
  if (needed?.passed === false) {
    return { name, passed: false, seconds: 0, output: `not run: ${needed.name} failed` };
  }
  const startedAt = performance.now();
  const { status, output } = await shell(command);
  return { name, passed: status === 0, seconds: since(startedAt), output };
}

function shell(command: string): Promise<{ readonly status: number | null; readonly output: string }> {
  const path = [resolve('node_modules/.bin'), process.env['PATH']].join(delimiter);
  const child = spawn(command, {
    shell: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: path },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve: settle, reject } = Promise.withResolvers<Awaited<ReturnType<typeof shell>>>();
  child.on('error', reject);
  child.on('close', (status) => settle({ status, output: Buffer.concat(chunks).toString() }));
  return promise;
}

function report({ name, passed, seconds, output }: Outcome): void {
  console.log(`${passed ? 'ok    ' : 'FAILED'} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s`);
  if (!passed) console.log(output.trimEnd().replaceAll(/^/gm, '       '));
}

function chosenSteps(): ReadonlyMap<string, string> {
  const steps = allSteps();
  const asked = process.argv.slice(2);
  if (asked.length === 0) return steps;
  const unknown = asked.filter((name) => !steps.has(name));
  if (unknown.length > 0) {
    console.error(`no such step: ${unknown.join(', ')}; there are ${[...steps.keys()].join(', ')}`);
    process.exit(2);
  }
  return new Map(asked.map((name) => [name, steps.get(name) ?? '']));
}

function allSteps(): ReadonlyMap<string, string> {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const checks = Object.entries(scripts).filter(([name]) => name.startsWith(PREFIX));
  return new Map(checks.map(([name, command]) => [name.slice(PREFIX.length), command]));
}

function since(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}
