/** Definitions that the tests of runners share with the threads and processes that they start. */
import { createHash } from 'node:crypto';
import { attempts, harmless } from './escape-attempt.ts';
import {
  definitionsOf,
  part,
  pipeline,
  t,
  type AnyTable,
  type Definitions,
  type Pipeline,
} from '../../src/pipeline/index.ts';

/** The pipeline itself, to deploy it. */
export const lab: Pipeline = pipeline('runner');

const Source = lab.manual('source', {
  key: { id: t.bigint() },
  columns: { value: t.integer(), bytes: t.bytea(), note: t.json(), text: t.text().nullable() },
});

/** All that a make is given, in its result. */
const Everything = lab.computed('everything', {
  parents: [Source],
  columns: {
    value: t.double(),
    big: t.bigint(),
    bytes: t.bytea(),
    note: t.json(),
    now: t.text(),
    file: t.text(),
  },
  parts: { piece: part({ key: { n: t.integer() }, columns: { text: t.text().nullable() } }) },
  reads: { source: Source },
  make: async ({ source }, { key, now, random, files, log }) => {
    log(`key ${String(key.id)}`);
    const listed = await files.list('.');
    return {
      value: random() + source.value,
      big: key.id * 2n,
      bytes: Uint8Array.from([...source.bytes, 255]),
      note: { was: source.note, kind: source.bytes.constructor.name, zero: -0 },
      now,
      file: `${await files.text('a.txt')} ${JSON.stringify(listed)}`,
      parts: { piece: [{ n: 1, text: source.text }, { n: 2 }] },
    };
  },
});

/** Burns some 2 ms a key: rounds of hashing, the same on every machine. */
const Hashed = lab.computed('hashed', {
  parents: [Source],
  columns: { digest: t.text() },
  reads: { source: Source.columns('value') },
  make: ({ source }) => ({ digest: hashOf(String(source.value), 1500) }),
});

function hashOf(text: string, rounds: number): string {
  let digest = text;
  for (let round = 0; round < rounds; round += 1) digest = createHash('sha256').update(digest).digest('hex');
  return digest;
}

const Trivial = lab.computed('trivial', {
  parents: [Source],
  columns: { next: t.integer() },
  reads: { source: Source.columns('value') },
  make: ({ source }) => ({ next: source.value + 1 }),
});

/** Misbehaves for the key that its value names. */
const Wild = lab.computed('wild', {
  parents: [Source],
  columns: { ok: t.boolean() },
  reads: { source: Source.columns('value', 'text') },
  timeoutSeconds: 1,
  make: async ({ source }, { signal }) => {
    switch (source.text) {
      case 'throw':
        throw new Error('thrown on purpose');
      case 'exit':
        process.exit(7);
        break;
      case 'spin':
        for (;;);
      case 'spin later':
        await new Promise((resolve) => setTimeout(resolve, 1));
        for (;;);
      case 'wait':
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        break;
      case 'wait for ever':
        await new Promise(() => undefined);
        break;
      case 'uncaught':
        setTimeout(() => {
          throw new Error('thrown out of nowhere');
        }, 1);
        await new Promise((resolve) => setTimeout(resolve, 50));
        break;
      case null:
        break;
      default:
    }
    return { ok: true };
  },
});

/** Holds more and more where its text says so. */
const Greedy = lab.computed('greedy', {
  parents: [Source],
  columns: { ok: t.boolean() },
  reads: { source: Source.columns('text') },
  make: ({ source }) => {
    const kept: unknown[] = [];
    while (source.text === 'memory') kept.push(Array.from({ length: 10_000 }, (_, at) => ({ at })));
    return { ok: true };
  },
});

/** Tries what its text says, in isolation; the paths stand in its note. */
const Escape = lab.computed('escape', {
  parents: [Source],
  columns: { ok: t.boolean() },
  reads: { source: Source.columns('text', 'note') },
  isolate: true,
  timeoutSeconds: 10,
  make: async ({ source }, { files }) => {
    const paths = source.note as { readonly secret: string; readonly module: string; readonly port: number };
    await { ...attempts, ...harmless }[source.text ?? 'nothing']?.(files, paths);
    return { ok: true };
  },
});

/** The tables, by what their makes do. */
export const tables: Readonly<
  Record<'source' | 'everything' | 'hashed' | 'trivial' | 'wild' | 'greedy' | 'escape', AnyTable>
> = {
  source: Source,
  everything: Everything,
  hashed: Hashed,
  trivial: Trivial,
  wild: Wild,
  greedy: Greedy,
  escape: Escape,
};

const config: { readonly stores: object; readonly pipelines: readonly Pipeline[] } = {
  stores: {},
  pipelines: [lab],
};
export default config;

export const runnerLab: URL = new URL(import.meta.url);

export function runnerDefinitions(): Definitions {
  const defined = definitionsOf([lab]);
  if (defined.status === 'refused') throw new Error(JSON.stringify(defined.findings));
  return defined.definitions;
}

/** The inputs of one key of any of these tables. */
export function inputOf(
  id: number,
  text: string | null = null,
): {
  readonly key: { readonly id: bigint };
  readonly values: Readonly<Record<string, unknown>>;
} {
  const bytes = Uint8Array.from([id % 256, 1, 2]);
  return {
    key: { id: BigInt(id) },
    values: { source: { id: BigInt(id), value: id, bytes, note: { deep: [1, null, 'ä'] }, text } },
  };
}
