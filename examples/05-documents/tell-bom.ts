// Bills of material of this very repository: what their generator writes in each version, against what varve makes of one
// version out of another.
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Json } from 'varve/base';
import type { DocumentType } from 'varve/document';
import { BOM_VERSIONS, bomType } from './bom-type.ts';
import { differences, isRecord, type Difference } from './difference.ts';
import { installedPath } from './installed.ts';
import { expect, say } from './stage.ts';

const NOW = { now: '2026-05-12T00:00:00.000Z', allowLossy: true } as const;
/** Of the whole lock file; of what is installed, with the texts of its licenses. */
const BILLS = { tree: ['--package-lock-only'], texts: ['--gather-license-texts'] } as const;

/** What the way up leaves open, for each version that says it. */
const UNSAID: readonly (readonly [string, (difference: Difference) => boolean])[] = [
  [
    'type of a tool, guessed and told as such',
    ({ at, ours }) => isTool(at, 'type') && ours === 'application',
  ],
  [
    'of a tool: author, description, licenses, links, properties',
    ({ at, ours }) => isTool(at) && ours === undefined,
  ],
  [
    'properties and evidence of a component or of the bill',
    ({ at, ours }) => isLast(at, 'properties', 'evidence') && ours === undefined,
  ],
  ['who says so of a license', ({ at, ours }) => isLast(at, 'acknowledgement') && ours === undefined],
];

function isTool(at: readonly string[], last?: string): boolean {
  return at[0] === 'metadata' && at[1] === 'tools' && (last === undefined || isLast(at, last));
}

function isLast(at: readonly string[], ...names: readonly string[]): boolean {
  return names.includes(at.at(-1) ?? '');
}

/** Writes the bills, moves each to each version, and back. */
export async function tellBom(folder: string): Promise<void> {
  const type = bomType();
  expect('the type holds together', type.findings().length === 0);
  tellReaders(type);
  for (const [name, flags] of Object.entries(BILLS)) {
    say(`The bill of this repository, ${flags.join(' ')}, as cyclonedx-npm writes it in six versions:`);
    const bills = await writeBills(join(folder, name), flags);
    const parts = countParts(bills.get('1.7') ?? null);
    console.log(`${parts} components`);
    expect('there are some', parts > 300);
    tellMoves(type, bills);
  }
}

/** Which readers take which bills, by the published schemas alone: each refusal with a bill that shows it. */
const REFUSED: Readonly<Record<string, string>> = {
  '1.2 by 1.7': '/version',
  '1.3 by 1.7': '/version',
  '1.4 by 1.7': '/version',
  '1.5 by 1.7': '/properties/*/name',
  '1.7 by 1.2': '/compositions',
  '1.7 by 1.3': '/vulnerabilities',
  '1.7 by 1.4': '/components/*/type',
  '1.7 by 1.5': '/declarations',
  '1.7 by 1.6': '/citations',
};

function tellReaders(type: DocumentType<unknown>): void {
  say('Readers of one version and bills of another, without any step:');
  const compared = type.compat('1.2', '1.7', 'FULL_TRANSITIVE');
  if (compared.status === 'refused') throw new TypeError(JSON.stringify(compared));
  for (const { writer, reader, verdict, witness } of compared.value.directions) {
    const found = witness?.pointer.replaceAll(/\/\d+/gu, '/*');
    expect(`${writer} by ${reader} is refused where it was`, found === REFUSED[`${writer} by ${reader}`]);
    console.log(`${writer} read by ${reader}: ${verdict}${found === undefined ? '' : `, at ${found}`}`);
  }
}

async function writeBills(folder: string, flags: readonly string[]): Promise<ReadonlyMap<string, Json>> {
  await mkdir(folder, { recursive: true });
  const program = installedPath('@cyclonedx/cyclonedx-npm/bin/cyclonedx-npm-cli.js');
  const root = resolve(import.meta.dirname, '../../package.json');
  const bills = new Map<string, Json>();
  for (const version of BOM_VERSIONS) {
    const file = join(folder, `${version}.json`);
    const how = ['--spec-version', version, '--output-format', 'JSON', '--output-file', file];
    const argv = [program, ...flags, ...how, '--output-reproducible', '--no-validate', root];
    await promisify(execFile)(process.execPath, argv, { maxBuffer: 2 ** 26 });
    bills.set(version, JSON.parse(await readFile(file, 'utf8')) as Json);
  }
  return bills;
}

function countParts(bill: Json): number {
  const parts =
    isRecord(bill) && Array.isArray(bill['components']) ? (bill['components'] as readonly Json[]) : [];
  return parts.reduce<number>((count, part) => count + 1 + countParts(part), 0);
}

function tellMoves(type: DocumentType<unknown>, bills: ReadonlyMap<string, Json>): void {
  const counts = { down: 0, up: 0, back: 0, kept: 0 };
  const unsaid = new Map<string, number>();
  for (const [from, bill] of bills) {
    for (const [to, theirs] of bills) {
      if (from === to) continue;
      const moved = type.migrate(bill, to, NOW);
      if (moved.status !== 'migrated') throw new TypeError(`${from} to ${to}: ${JSON.stringify(moved)}`);
      const found = [...differences(moved.document, theirs)];
      if (from > to) {
        expect(`${from} down to ${to} is what the generator writes`, found.length === 0);
        counts.down += 1;
      } else {
        for (const difference of found) bump(unsaid, reasonOf(difference));
        counts.up += 1;
      }
      counts.kept += moved.residue.length;
      const back = type.migrate(moved.document, from, { ...NOW, residue: moved.residue });
      const isBack = back.status === 'migrated' && [...differences(back.document, bill)].length === 0;
      expect(`${from} to ${to} and back is the bill`, isBack);
      counts.back += 1;
    }
  }
  console.log(`${counts.down} moves down give what the generator writes, value for value`);
  console.log(`${counts.up} moves up give it too, but for what the older version does not say:`);
  for (const [reason, count] of unsaid) console.log(`${String(count).padStart(8)}  ${reason}`);
  console.log(
    `${counts.back} of ${counts.back} come back as they were, with ${counts.kept} values kept beside`,
  );
}

function reasonOf(difference: Difference): string {
  const found = UNSAID.find(([, isSo]) => isSo(difference));
  if (found === undefined) throw new TypeError(`unexplained: ${JSON.stringify(difference)}`);
  return found[0];
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
