/**
 * Documents of 1.1 KB against the limit, a bare `JSON.parse` and `JSON.stringify` over the same bytes, and against what
 * one would write by hand otherwise: two functions in a row. All in this process, in turns, one thread, by its processor time.
 */
import { code, defineDocument, op, step, type DocumentType } from '../src/document/index.ts';
import { VarveError, type JsonObject } from '../src/base/index.ts';
import { benchDocumentColumn } from './document-column.ts';
import { benchCoverage } from './document-coverage.ts';
import { benchLazyReads } from './document-lazy.ts';
import { benchLargeFile } from './document-large.ts';
import { benchThreads } from './document-thread.ts';
import { atLeast, atMost, alternate, figure, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';
import { legacyTrace, traces } from './trace-type.ts';

const DOCUMENTS = 5_000;
const ROUNDS = 7;
const NOW = { now: '2026-05-12T00:00:00.000Z' };

/** Five ops in one step, or in five steps of one op. */
function fiveOps(isFused: boolean): DocumentType<unknown> {
  const ops = [
    op.rename('/title', 'name'),
    op.rename('/who', 'actor'),
    op.wrap('/tag'),
    op.add('/kind', 'a'),
    op.add('/more', 1),
  ];
  const versions = ['1', '2', '3', '4', '5', '6'];
  return defineDocument('five', {
    schema: {},
    current: '6',
    version: { missing: '1', order: 'integer' },
    versions: Object.fromEntries(versions.map((version) => [version, {}])),
    steps: isFused
      ? [
          step('1', '6', ops),
          ...versions.slice(1, 5).map((from, at) => step(from, versions[at + 2] ?? '', [])),
        ]
      : ops.map((one, at) => step(versions[at] ?? '', versions[at + 1] ?? '', [one])),
    policy: { provenance: 'beside', residue: 'beside' },
  });
}

/** Measures; `documents` for each round (default 5,000). */
export async function benchDocument(
  { serverUrl }: Pick<BenchStores, 'serverUrl'>,
  documents: number = DOCUMENTS,
): Promise<readonly Figure[]> {
  const texts = Array.from({ length: documents }, (_, at) => JSON.stringify(legacyTrace(at)));
  const encoder = new TextEncoder();
  const bytes = texts.map((text) => encoder.encode(text));
  const size = bytes.reduce((sum, { length }) => sum + length, 0) / documents;
  const type = traces({ isBeside: false });
  const beside = traces({ isBeside: true });
  const current = bytes.map((one) => migrated(type, one));
  const currentSize = current.reduce((sum, { length }) => sum + length, 0) / documents;
  const parsed = texts.map((text) => JSON.parse(text) as JsonObject);
  const each =
    <V>(values: readonly V[], work: (value: V) => unknown) =>
    async () =>
      timedUs(values, work);
  const decoder = new TextDecoder();
  const [bare, whole, hand, bareMigrated, there, one, five] = await alternate(ROUNDS, [
    each(bytes, (one) => encoder.encode(JSON.stringify(JSON.parse(decoder.decode(one))))),
    each(bytes, (one) => type.migrateText(one, undefined, NOW)),
    each(bytes, (one) =>
      encoder.encode(JSON.stringify(byHand(JSON.parse(decoder.decode(one)) as JsonObject))),
    ),
    each(bytes, (one) => beside.migrateText(one, undefined, NOW)),
    each(current, (one) => type.migrateText(one, undefined, NOW)),
    each(parsed, (one) => fused.migrate(one, '6', { ...NOW, own: true })),
    each(parsed, (one) => apart.migrate(one, '6', { ...NOW, own: true })),
  ]);
  const perSecond = (us: number | undefined) => 1_000_000 / (us ?? Number.NaN);
  const ratio = (us: number | undefined, of: number | undefined) => (us ?? Number.NaN) / (of ?? Number.NaN);
  return [
    figure('document size', size, 'bytes'),
    figure('bare parse and stringify', perSecond(bare), 'documents/s'),
    figure('two functions by hand', perSecond(hand), 'documents/s'),
    atLeast('two steps, checked twice, with provenance', perSecond(whole), 'documents/s', 35_000),
    atMost('two steps, checked twice, with provenance / bare', ratio(whole, bare), 'ratio', 2),
    atMost('the same with provenance beside / bare', ratio(bareMigrated, bare), 'ratio', 2),
    atLeast('already current', perSecond(there), 'documents/s', 120_000),
    atLeast('already current, by size', (perSecond(there) * currentSize) / 1_000_000, 'MB/s', 300),
    atLeast('five ops in memory', perSecond(one), 'documents/s', 100_000),
    atMost('five steps / one step of five ops', ratio(five, one), 'ratio', 1.5),
    atLeast('one code step in memory', perSecond(await codeStep(parsed)), 'documents/s', 50_000),
    ...(await benchLazyReads(type, bytes, current)),
    ...(await benchCoverage(type, bytes)),
    ...(await benchThreads()),
    ...(await benchLargeFile()),
    ...(await benchDocumentColumn(serverUrl, type, texts)),
  ];
}

const fused = fiveOps(true);
const apart = fiveOps(false);

async function codeStep(parsed: readonly JsonObject[]): Promise<number> {
  const type = defineDocument('coded', {
    schema: {},
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [
      code('1', '2', {
        up: ({ title, ...rest }) => ({ ...rest, name: title ?? '' }),
        loss: 'lossless',
        revision: 1,
      }),
    ],
    policy: { provenance: 'beside', residue: 'beside' },
  });
  const [us] = await alternate(ROUNDS, [
    async () => timedUs(parsed, (one) => type.migrate(one, '2', { ...NOW, own: true })),
  ]);
  return us ?? Number.NaN;
}

/** Processor time of this thread: what others do to the machine meanwhile does not count as its work. */
function timedUs<V>(values: readonly V[], work: (value: V) => unknown): number {
  const before = process.threadCpuUsage();
  for (const value of values) work(value);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / values.length;
}

function migrated(type: DocumentType<unknown>, bytes: Uint8Array): Uint8Array {
  const outcome = type.migrateText(bytes, undefined, NOW);
  if (outcome.status === 'migrated') return outcome.document;
  throw new VarveError('internal', { hint: `The benchmark's document was not migrated: ${outcome.status}.` });
}

function byHand(document: JsonObject): JsonObject {
  const { title, ...first } = document;
  const { who, ...second } = { ...first, name: title ?? '' } as JsonObject;
  return {
    ...second,
    ...(who === undefined ? {} : { actor: who }),
    timing: { seconds: 0 },
    schema_version: '2.0.0',
  };
}
