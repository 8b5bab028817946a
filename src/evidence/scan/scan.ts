/**
 * The scan of every file before it is written or taken for granted (M124, M125): is there anything in it that must not
 * be kept, such as a password, a key or a position on the ground?
 *
 * | source | finds |
 * |---|---|
 * | `secretlint`, recommended preset | tokens and keys of the well-known services |
 * | `credential.ts` | passwords and ways in, as PostgreSQL, its clients, programs and clusters write them |
 * | `random-text.ts` | text that looks drawn at random |
 * | `position.ts` | WKT, WKB in hexadecimal form, GeoJSON |
 * | all of these once more | what base64 text says, and texts of a JSON file that are written with escapes |
 *
 * A hit says which rule struck and where; never what stands there.
 */
import { canonicalJson, refusal, type Finding, type Json, type JsonObject } from '../../base/index.ts';
import { CREDENTIAL_RULES, PLACE_RULES } from './credential.ts';
import { positionSpots, whereIs, wkbSpot, type PositionSpot, type RestrictedArea } from './position.ts';
import { decodeBytes, decodeText, randomSpots } from './random-text.ts';
import { spotsOf, type Spot } from './spot.ts';

/** What is being scanned. */
export interface ScanAbout {
  /** Shown in findings. */
  readonly path: string;
  /** In a product any position is a hit; in an authored file it depends on where it lies (M125). */
  readonly origin: 'product' | 'authored';
  /** Without any, a position in an authored file wants a review. */
  readonly restrictedAreas?: readonly RestrictedArea[];
}

/** One hit. Line and column count from 1. */
export interface ScanHit {
  readonly rule: string;
  readonly kind: 'secret' | 'position';
  readonly severity: 'error' | 'review';
  readonly line: number;
  readonly column: number;
  readonly encoding?: string;
}

/** What a text holds that it must not, in order of place. */
export async function scanText(whole: string, about: ScanAbout): Promise<readonly ScanHit[]> {
  // Most of a large product is digests. They hide nothing that anybody would find, so nobody looks into them.
  const text = whole.replaceAll(/sha256:[0-9a-f]{64}/gu, WITHHELD_DIGEST);
  const secrets = [...secretSpots(text, about), ...(await lintSpots(text))];
  const places = positionsOf(text);
  const placeOf = lineFinder(text);
  const hits = [
    ...secrets.map((spot): ScanHit => ({ ...hitOf(spot, placeOf), kind: 'secret', severity: 'error' })),
    ...places.flatMap((spot): readonly ScanHit[] => {
      const severity = positionSeverity(spot, about);
      return severity === undefined ? [] : [{ ...hitOf(spot, placeOf), kind: 'position', severity }];
    }),
  ];
  return withoutTwins(hits);
}

const WITHHELD_DIGEST = `sha256:${'.'.repeat(64)}`;

/** The hits as findings: `secret_found`, and `position_found` of the hits on positions. */
export function scanFindings(path: string, hits: readonly ScanHit[]): readonly Finding[] {
  return hits.map(({ rule, kind, severity, line, column, encoding }) => ({
    ...refusal(kind === 'secret' ? 'secret_found' : 'position_found', path, {
      detail: { rule, line, column, ...(encoding === undefined ? {} : { encoding }) },
      hint:
        kind === 'secret'
          ? 'Take it out and let the run resolve it by a reference; what was committed or sent somewhere counts as known: change it.'
          : 'Take the position out, or read it from a table; where it may stand here, have it approved.',
    }),
    severity,
  }));
}

/** A value in which every text that holds a secret or a position is replaced by the names of the rules that struck. */
export async function redactJson<T extends Json>(value: T): Promise<T> {
  const hits = await scanText(canonicalJson(value), { path: '', origin: 'product' });
  return hits.length === 0 ? value : ((await redact(value)) as T);
}

/** Text by text only where the whole has a hit: most findings have none, and there may be one for each table. */
async function redact(value: Json | undefined): Promise<Json> {
  if (typeof value === 'string') {
    const hits = await scanText(value, { path: '', origin: 'product' });
    return hits.length === 0 ? value : `(withheld: ${[...new Set(hits.map(({ rule }) => rule))].join(', ')})`;
  }
  if (Array.isArray(value)) return Promise.all((value as readonly Json[]).map((item) => redact(item)));
  if (typeof value !== 'object' || value === null) return value ?? null;
  const members: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value as JsonObject)) members[name] = await redact(member);
  return members;
}

function secretSpots(text: string, { origin }: ScanAbout): readonly Spot[] {
  const spots = ownSpots(text, origin);
  const escaped = escapedTexts(text).flatMap(({ at, said }) =>
    [...ownSpots(said, origin), ...encodedSpots(said, origin, 1)].map((spot) => ({ ...spot, at })),
  );
  return [...spots, ...randomSpots(text, signaturesIn(text)), ...encodedSpots(text, origin, 2), ...escaped];
}

/** The texts of a JSON file that say something else than they show, such as a line break. */
function escapedTexts(text: string): readonly { readonly at: number; readonly said: string }[] {
  if (!/^\s*[[{]/u.test(text) || !text.includes('\\') || !isJson(text)) return [];
  return [...text.matchAll(/"(?:[^"\\]|\\.)*"/gu)]
    .filter(([token]) => token.includes('\\'))
    .map((match) => ({ at: match.index, said: JSON.parse(match[0]) as string }));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function ownSpots(text: string, origin: ScanAbout['origin']): readonly Spot[] {
  const rules = origin === 'product' ? [...CREDENTIAL_RULES, ...PLACE_RULES] : CREDENTIAL_RULES;
  return rules.flatMap((rule) => spotsOf(rule, text));
}

/** Base64 text, in one piece or in lines. */
const BASE64 = /(?:[A-Za-z0-9+/_-]{40,}\r?\n){0,10000}[A-Za-z0-9+/_-]{16,}={0,2}/gu;

/** What base64 text says, and what that says in base64, `depth` times. */
function encodedSpots(text: string, origin: ScanAbout['origin'], depth: number): readonly Spot[] {
  if (depth === 0) return [];
  const spots: Spot[] = [];
  for (const match of text.matchAll(BASE64)) {
    const decoded = decodeText(match[0]);
    if (decoded === undefined) continue;
    for (const { rule } of [...ownSpots(decoded, origin), ...encodedSpots(decoded, origin, depth - 1)])
      spots.push({ rule, at: match.index, encoding: 'base64' });
  }
  return spots;
}

function positionsOf(text: string): readonly PositionSpot[] {
  const encoded = [...text.matchAll(BASE64)].flatMap((match) => {
    const decoded = decodeText(match[0]);
    const bytes = decoded === undefined ? decodeBytes(match[0]) : undefined;
    const binary = bytes === undefined ? undefined : wkbSpot(bytes, match.index);
    const found = binary === undefined ? positionSpots(decoded ?? '') : [binary];
    return found.map((spot): PositionSpot => ({ ...spot, at: match.index, encoding: 'base64' }));
  });
  const escaped = escapedTexts(text).flatMap(({ at, said }) =>
    positionSpots(said).map((spot): PositionSpot => ({ ...spot, at })),
  );
  return [...positionSpots(text), ...encoded, ...escaped];
}

function positionSeverity(
  spot: PositionSpot,
  { origin, restrictedAreas = [] }: ScanAbout,
): ScanHit['severity'] | undefined {
  if (origin === 'product') return 'error';
  if (restrictedAreas.length === 0) return 'review';
  const where = whereIs(spot, restrictedAreas);
  if (where === 'unknown') return 'review';
  return where === 'inside' ? 'error' : undefined;
}

/** The signatures of an envelope: random by nature, of 64 bytes each, and made to be shown. */
function signaturesIn(text: string): ReadonlySet<string> {
  const isEnvelope = text.includes('"payloadType"') && text.includes('"signatures"');
  const found = isEnvelope ? text.matchAll(/"sig":\s?"([A-Za-z0-9+/]{86}==)"/gu) : [];
  return new Set([...found].map(([, signature = '']) => signature));
}

/** The preset's hits. Loaded on first use: it takes some 50 ms that most commands never need. */
async function lintSpots(text: string): Promise<readonly Spot[]> {
  const [{ lintSource }, { creator }] = await Promise.all([
    import('@secretlint/core'),
    import('@secretlint/secretlint-rule-preset-recommend'),
  ]);
  const preset = '@secretlint/secretlint-rule-preset-recommend';
  const { messages } = await lintSource({
    // The preset obeys comments that switch it off; a file must not.
    source: {
      filePath: 'scanned.txt',
      ext: '.txt',
      contentType: 'text',
      content: text.replaceAll(/secretlint-(?=disable|enable)/gu, 'secretlint_'),
    },
    options: { noPhysicFilePath: true, config: { rules: [{ id: preset, rule: creator, options: {} }] } },
  });
  return messages.map(({ ruleId, range }) => ({
    rule: `secretlint/${ruleId.replace('@secretlint/secretlint-rule-', '')}`,
    at: range[0],
  }));
}

type Place = Pick<ScanHit, 'line' | 'column'>;

function hitOf(
  { rule, at, encoding }: Spot,
  placeOf: (at: number) => Place,
): Omit<ScanHit, 'kind' | 'severity'> {
  return { rule, ...placeOf(at), ...(encoding === undefined ? {} : { encoding }) };
}

/** Two rules at one place are two hits, the same one twice is one. */
function withoutTwins(hits: readonly ScanHit[]): readonly ScanHit[] {
  const byPlace = new Map(hits.map((hit) => [`${hit.line}:${hit.column}:${hit.rule}`, hit]));
  return [...byPlace.values()].sort(
    (a, b) => a.line - b.line || a.column - b.column || (a.rule < b.rule ? -1 : 1),
  );
}

function lineFinder(text: string): (at: number) => Place {
  let starts: number[] | undefined;
  return (at) => {
    starts ??= [0, ...[...text.matchAll(/\n/gu)].map(({ index }) => index + 1)];
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - (starts[low] ?? 0) + 1 };
  };
}
