// Descriptions of interfaces, as others publish them: 3.0 to 3.1 by steps that are data, held against the upgrader that
// Scalar's tools use. Both get the same documents; each difference has to have a reason that is written down here.
import { readFileSync } from 'node:fs';
import type { Json, JsonObject } from 'varve/base';
import type { DocumentType } from 'varve/document';
import { differences, isRecord, type Difference } from './difference.ts';
import { descriptions, otherUpgrade } from './installed.ts';
import { OPENAPI_CURRENT, openapiType } from './openapi-type.ts';
import { expect, say } from './stage.ts';

const NOW = { now: '2026-05-12T00:00:00.000Z', allowLossy: true } as const;
const DOCUMENTS = 2593;

/** What differs at one place: names with `+` where only ours has them, `-` where only theirs has. */
interface Place {
  readonly names: string;
  readonly found: readonly Difference[];
  readonly at: readonly string[];
}

const REASONS: readonly (readonly [string, (place: Place) => boolean])[] = [
  ['inside an extension (x-...): its own affair, we leave it', ({ at }) => isInExtension(at)],
  ['example of a parameter, header or body: 3.1 still has it, we leave it', isExampleOutsideSchemas],
  ['nullable: false beside a type: it says nothing, we take it out', ({ names }) => names === '-nullable'],
  [
    'nullable beside $ref or allOf, without a type: 3.0.3 gives it no meaning, they guess one',
    ({ names }) => names === '+$ref +nullable -anyOf' || names === '+allOf +nullable -anyOf',
  ],
  [
    'nullable alone in anyOf or oneOf: no meaning either, they guess null',
    ({ names }) => names === '+nullable -type',
  ],
  [
    'format base64: no format of 3.0, they take it for byte',
    ({ names }) => names === '+format -contentEncoding',
  ],
  [
    'example beside a nullable allOf: they leave what 3.1 calls examples',
    ({ names }) => names === '+allOf +examples +nullable -anyOf -example',
  ],
];

function isInExtension(at: readonly string[]): boolean {
  const named = new Set(['properties', 'schemas', 'parameters', 'headers']);
  return at.some((name, index) => name.startsWith('x-') && !named.has(at[index - 1] ?? ''));
}

function isExampleOutsideSchemas({ names, found }: Place): boolean {
  const theirs = found.find(({ at }) => at.at(-1) === 'examples')?.theirs;
  return names === '+example -examples' && isRecord(theirs) && Object.keys(theirs).join() === 'default';
}

/** Moves all documents, or every so many, there and back. */
export async function tellOpenapi(every: number): Promise<void> {
  const type = openapiType();
  expect('the type holds together', type.findings().length === 0);
  const other = await otherUpgrade();
  const paths = descriptions(every);
  say(
    `${paths.length} descriptions of interfaces, ${every === 1 ? 'all' : `every ${every}th`} of the directory:`,
  );
  const tally: Tally = { moved: 0, kept: 0, refused: new Map(), places: new Map(), oursMs: 0, theirsMs: 0 };
  for (const path of paths) tellOne(type, other, readFileSync(path, 'utf8'), tally);
  report(tally);
  const refused = [...tally.refused.values()].reduce((sum, count) => sum + count, 0);
  expect('nearly all are moved', tally.moved > 0.99 * (tally.moved + refused) - 1);
  if (every === 1) expect('they are all there', tally.moved + refused === DOCUMENTS);
}

interface Tally {
  moved: number;
  kept: number;
  readonly refused: Map<string, number>;
  readonly places: Map<string, number>;
  oursMs: number;
  theirsMs: number;
}

function tellOne(
  type: DocumentType<unknown>,
  other: (document: object) => unknown,
  text: string,
  tally: Tally,
): void {
  const document = JSON.parse(text) as JsonObject & { readonly openapi: string };
  if (!document.openapi.startsWith('3.0')) return;
  const startedMs = performance.now();
  const moved = type.migrate(document, OPENAPI_CURRENT, NOW);
  tally.oursMs += performance.now() - startedMs;
  if (moved.status !== 'migrated') {
    const code = moved.status === 'refused' ? (moved.findings[0]?.code ?? '') : moved.status;
    bump(tally.refused, code);
    return;
  }
  tally.moved += 1;
  tally.kept += moved.residue.length;
  const back = type.migrate(moved.document, document.openapi, { ...NOW, residue: moved.residue });
  const isBack = back.status === 'migrated' && [...differences(back.document, document)].length === 0;
  expect('a document comes back as it was', isBack);
  const copy = JSON.parse(text) as object;
  const otherMs = performance.now();
  const theirs = other(copy) as Json;
  tally.theirsMs += performance.now() - otherMs;
  for (const place of placesOf(moved.document, theirs)) bump(tally.places, reasonOf(place));
}

/** The differences, those of one object together. */
function placesOf(ours: Json, theirs: Json): readonly Place[] {
  const byObject = Map.groupBy(differences(ours, theirs), ({ at }) => JSON.stringify(at.slice(0, -1)));
  return [...byObject.values()].map((found) => {
    const signed = found.map(({ at, ours, theirs }) => {
      const sign = ours === undefined ? '-' : theirs === undefined ? '+' : '~';
      return `${sign}${at.at(-1) ?? ''}`;
    });
    return { names: signed.toSorted().join(' '), found, at: found[0]?.at.slice(0, -1) ?? [] };
  });
}

function reasonOf(place: Place): string {
  const found = REASONS.find(([, isSo]) => isSo(place));
  if (found === undefined) throw new TypeError(`unexplained: ${place.names} at ${place.at.join(' ')}`);
  return found[0];
}

function report({ moved, kept, refused, places, oursMs, theirsMs }: Tally): void {
  console.log(`${moved} are moved to ${OPENAPI_CURRENT} and back, equal, with ${kept} values kept beside`);
  for (const [code, count] of refused) console.log(`${String(count).padStart(8)}  refused: ${code}`);
  console.log('places where the other upgrader writes something else:');
  const sorted = [...places].toSorted(([, left], [, right]) => right - left);
  for (const [reason, count] of sorted) console.log(`${String(count).padStart(8)}  ${reason}`);
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  console.log(
    `${seconds(oursMs)} s, with both schemas asked of each; the other takes ${seconds(theirsMs)} s and asks none`,
  );
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
