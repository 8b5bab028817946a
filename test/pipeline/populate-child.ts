/** A process that populates a table slowly, to be killed in the middle: `node populate-child.ts URL SCHEMA`. */
import { postgresStore } from '../../src/store/postgres/index.ts';
import { definitionsOf, part, pipeline, t, type AnyTable, type Pipeline } from '../../src/pipeline/index.ts';
import type { CodeIdentity } from '../../src/pipeline/code-digest.ts';
import { attach } from './pipeline-lab.ts';

/** The code of these makes: the test runner changes their text, so that it cannot stand for them here. */
export const slowCode = (schema: string): ReadonlyMap<string, CodeIdentity> =>
  new Map([
    [`${schema}.out`, { digest: `sha256:${'0'.repeat(64)}`, basis: 'text', packages: {}, source: 'slow' }],
  ]);

/** A table that a make fills slowly, with a part. */
export interface SlowLab {
  readonly lab: Pipeline;
  readonly source: AnyTable;
  readonly out: AnyTable;
  readonly piece: AnyTable;
}

/** The definitions that parent and child share; each make takes a while. */
export function slowLab(schema: string, waitMs: number): SlowLab {
  const lab = pipeline(schema);
  const source = lab.manual('source', { key: { id: t.integer() } });
  const out = lab.computed('out', {
    parents: [source],
    columns: { text: t.text() },
    parts: { piece: part({ key: { n: t.integer() } }) },
    reads: { source },
    make: async (inputs) => {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      return { text: `t${inputs.source.id}`, parts: { piece: [{ n: 1 }, { n: 2 }] } };
    },
  });
  return { lab, source, out, piece: out.parts.piece };
}

if (import.meta.main) {
  const [url = '', schema = ''] = process.argv.slice(2);
  await using store = await postgresStore({ url });
  const { lab } = slowLab(schema, 1);
  const collected = definitionsOf([lab]);
  if (collected.status === 'refused') throw new Error('refused');
  const progress = (): void => void process.stdout.write('batch\n');
  const result = await attach(store, collected.definitions, slowCode(schema)).populate({
    batchSize: 20,
    progress,
  });
  process.stdout.write(`${result.status}\n`);
}
