/**
 * `npm run bench -- [AREA] [--json]`: measures one area, or all, on the embedded store and on a PostgreSQL 18 of its own.
 *
 * The server stands in a temporary folder with its default settings: it waits for the disk at each commit. A missed
 * target is a measurement, so the exit status stays 0; the last line on stderr says what was missed.
 */
import { parseArgs } from 'node:util';
import { embeddedStore, postgresStore } from '../src/store/postgres/index.ts';
import { startPostgres } from '../test/harness/postgres-server.ts';
import type { Figure } from './figure.ts';
import { describeMachine, describeVersions, type Machine, type Versions } from './machine.ts';
import { benchCapture } from './capture.ts';
import { benchCli } from './cli.ts';
import { benchCutover } from './evolution-cutover.ts';
import { benchDocument } from './document.ts';
import { benchEvolution } from './evolution/evolution.ts';
import { benchFingerprint } from './fingerprint.ts';
import { benchMigration } from './migration.ts';
import { benchPeers } from './peers/peers.ts';
import { benchPipeline } from './pipeline.ts';
import { benchProvenance } from './provenance.ts';
import type { AreaResult, BenchStores } from './stores.ts';
import { benchStart } from './start.ts';
import { benchStrict } from './strict.ts';
import { benchWorker } from './worker.ts';

const AREAS: Readonly<Record<string, (stores: BenchStores) => Promise<AreaResult>>> = {
  pipeline: async (stores) => measured([...(await benchPipeline(stores)), ...(await benchStrict())]),
  provenance: async (stores) => measured(await benchProvenance(stores)),
  start: async (stores) => measured(await benchStart(stores)),
  worker: async (stores) => measured(await benchWorker(stores)),
  document: async (stores) => measured(await benchDocument(stores)),
  evolution: benchEvolution,
  cli: async (stores) => measured(await benchCli(stores)),
  cutover: benchCutover,
  capture: async (stores) => measured(await benchCapture(stores)),
  fingerprint: async (stores) => measured(await benchFingerprint(stores)),
  migration: async (stores) => measured(await benchMigration(stores)),
  peers: benchPeers,
};

function measured(figures: readonly Figure[]): AreaResult {
  return { status: 'measured', figures };
}

interface Report {
  readonly machine: Machine;
  readonly versions: Versions & Readonly<Record<string, string>>;
  readonly results: readonly Figure[];
  /** Areas that could not be measured here, and why. */
  readonly notRun: Readonly<Record<string, string>>;
}

await main();

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' } },
  });
  const areas = positionals.length === 0 ? Object.keys(AREAS) : positionals;
  const unknown = areas.find((area) => !(area in AREAS));
  if (unknown !== undefined) {
    process.stderr.write(`There is no area "${unknown}". Give one of: ${Object.keys(AREAS).join(', ')}.\n`);
    process.exitCode = 2;
    return;
  }
  const report = await measure(areas);
  process.stdout.write(values.json === true ? `${JSON.stringify(report, null, 2)}\n` : textOf(report));
  for (const [area, reason] of Object.entries(report.notRun)) {
    process.stderr.write(`Not run: ${area}, since ${reason}.\n`);
  }
  const missed = report.results.filter(({ met }) => met === false);
  process.stderr.write(
    missed.length === 0
      ? 'Every target is met.\n'
      : `Missed: ${missed.map(({ name, value, unit, target }) => `${name} (${value} ${unit}, target ${target})`).join('; ')}.\n`,
  );
}

async function measure(areas: readonly string[]): Promise<Report> {
  await using postgres = await startPostgres({ version: 18, durable: true });
  await using server = await postgresStore({ url: postgres.url });
  await using embedded = await embeddedStore({ folder: undefined });
  const results: Figure[] = [];
  const notRun: Record<string, string> = {};
  let versions: Report['versions'] = { ...(await describeVersions(server)) };
  for (const area of areas) {
    const progress = (message: string): void => void process.stderr.write(`${area}: ${message}\n`);
    const result = await AREAS[area]?.({ server, serverUrl: postgres.url, embedded, progress });
    if (result?.status === 'measured') {
      results.push(...result.figures);
      versions = { ...versions, ...result.versions };
    } else if (result !== undefined) notRun[area] = result.reason;
  }
  return { machine: describeMachine(), versions, results, notRun };
}

function textOf({ machine, versions, results }: Report): string {
  const rows = results.map(({ name, value, unit, target, met, range }) => [
    name,
    String(value),
    range === undefined ? unit : `${unit} (${range.join(' to ')})`,
    target === null ? '' : String(target),
    met === null ? '' : met ? 'yes' : 'no',
  ]);
  const lines = table([['name', 'value', 'unit', 'target', 'met'], ...rows]);
  const facts = [...Object.entries(machine), ...Object.entries(versions)];
  return `${[...lines, '', ...facts.map(([name, value]) => `${name}: ${value}`)].join('\n')}\n`;
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) =>
        at === 1 || at === 3 ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}
