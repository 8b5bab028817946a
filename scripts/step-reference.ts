// docs/reference/steps.md, generated from the ops of document steps: `npm run generate` writes it. What an op does stands in
// the header of src/document/op/op.ts; its loss class is asked of the code, and each sample is run there and back.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ERROR_CODES, type Json, type JsonObject } from '../src/base/index.ts';
import { defineDocument, op, step, type Op, type Residue } from '../src/document/index.ts';
import { lossOf } from '../src/document/op/loss.ts';
import { OP_HINT } from '../src/document/run-step.ts';

export const STEP_REFERENCE = 'docs/reference/steps.md';

interface Sample {
  readonly text: string;
  readonly op: Op;
  readonly document: Json;
  /** The document is of the newer version: down is what shows the op. */
  readonly isNewer?: true;
}

const sample = (text: string, op: Op, document: Json): Sample => ({ text, op, document });

const NAMES = { at: '/parts', each: 'item' } as const;

const SAMPLES: Readonly<Record<Op['kind'], Sample>> = {
  add: sample("op.add('/unit', 'mm')", op.add('/unit', 'mm'), { size: 3 }),
  remove: sample("op.remove('/draft')", op.remove('/draft'), { name: 'a', draft: true }),
  introduce: {
    ...sample("op.introduce('/license')", op.introduce('/license'), { name: 'a', license: 'MIT' }),
    isNewer: true,
  },
  constant: sample("op.constant('/host', 'new')", op.constant('/host', 'new'), { host: 'old' }),
  rename: sample("op.rename('/title', 'name')", op.rename('/title', 'name'), { title: 'a' }),
  move: sample("op.move('/unit', '/size/unit')", op.move('/unit', '/size/unit'), {
    unit: 'mm',
    size: { value: 3 },
  }),
  copy: sample("op.copy('/name', '/label')", op.copy('/name', '/label'), { name: 'a' }),
  nest: sample("op.nest(['x', 'y'], 'place')", op.nest(['x', 'y'], 'place'), { x: 1, y: 2 }),
  hoist: sample("op.hoist('/place', ['x', 'y'])", op.hoist('/place', ['x', 'y']), { place: { x: 1, y: 2 } }),
  wrap: sample("op.wrap('/author')", op.wrap('/author'), { author: 'a' }),
  head: sample("op.head('/authors')", op.head('/authors'), { authors: ['a', 'b'] }),
  inside: sample("op.inside('/meta', [op.remove('/draft')])", op.inside('/meta', [op.remove('/draft')]), {
    meta: { draft: true },
  }),
  map: sample("op.map('/tags', [op.rename('/key', 'name')])", op.map('/tags', [op.rename('/key', 'name')]), {
    tags: [{ key: 'a' }, { key: 'b' }],
  }),
  mapValues: sample("op.mapValues('/byId', [op.wrap('/tag')])", op.mapValues('/byId', [op.wrap('/tag')]), {
    byId: { a: { tag: 'x' } },
  }),
  tree: sample(
    "op.tree('', [{ at: '/parts', each: 'item' }], [op.rename('/title', 'name')])",
    op.tree('', [NAMES], [op.rename('/title', 'name')]),
    { title: 'a', parts: [{ title: 'b', parts: [{ title: 'c' }] }] },
  ),
  convert: sample(
    "op.convert('/state', { table: [['ok', 1], ['OK', 1], ['failed', 2]] })",
    op.convert('/state', {
      table: [
        ['ok', 1],
        ['OK', 1],
        ['failed', 2],
      ],
    }),
    { state: 'OK' },
  ),
  split: sample("op.split('/name', ['/first', '/last'], ' ')", op.split('/name', ['/first', '/last'], ' '), {
    name: 'Ada Lovelace',
  }),
  combine: sample(
    "op.combine(['/first', '/last'], '/name', ' ')",
    op.combine(['/first', '/last'], '/name', ' '),
    { first: 'Ada', last: 'Lovelace' },
  ),
  coerce: sample("op.coerce('/size', 'integer', 'string')", op.coerce('/size', 'integer', 'string'), {
    size: '3',
  }),
  when: sample(
    "op.when({ at: '/kind', equals: 'box' }, [op.rename('/size', 'width')], [op.remove('/size')])",
    op.when({ at: '/kind', equals: 'box' }, [op.rename('/size', 'width')], [op.remove('/size')]),
    { kind: 'dot', size: 3 },
  ),
};

const HEAD = `<!-- Generated from src/document/op/ by "npm run generate". -->

# Ops of document steps

A step is described once, from the older version to the newer; its way back, its loss class and what it makes of a schema
follow from its ops. Pointers are JSON Pointers and never patterns; within \`inside\`, \`map\`, \`mapValues\` and \`tree\` they
begin at the value at hand. An absent value stays absent: only \`add\` and \`constant\` make one. Where a place is taken,
\`onExisting\` of \`add\`, \`rename\`, \`move\` and \`copy\` decides: \`refuse\` (the default), \`keep\`, or \`replace\`, which leaves
residue.
`;

const TAIL = `## Code

What no op covers is \`code(from, to, { up, down, loss, revision })\`: a pure function of a read-only document and a context.

| of the context | gives |
| --- | --- |
| \`id(...parts)\` | an id that follows from its parts alone |
| \`now\` | the one time of the run |
| \`snapshot(version)\` | the schema of a version |
| \`assume(pointer, value, reason)\` | the value, and tells in the provenance that it is a guess |

Of class \`residue\`, its inverse is run at once, and what does not come back is kept. Without \`down\` there is no way back.
Raise \`revision\` when the function gives other documents.
`;

if (import.meta.main) {
  mkdirSync(dirname(STEP_REFERENCE), { recursive: true });
  writeFileSync(STEP_REFERENCE, stepReference());
}

/** The reference page of all ops. */
export function stepReference(): string {
  const kinds = Object.keys(SAMPLES) as readonly Op['kind'][];
  return [HEAD, overview(kinds), ...kinds.map(section), refusals(), TAIL].join('\n');
}

interface Words {
  readonly forward: string;
  readonly inverse: string;
  readonly loss: string;
}

/** The table in the header of `op.ts`, by op. */
function wordsByOp(): ReadonlyMap<string, Words> {
  const source = readFileSync('src/document/op/op.ts', 'utf8');
  const rows = [...source.matchAll(/^ \* \| (.+) \|$/gm)].map(([, row = '']) => row.split(' | '));
  return new Map(
    rows.slice(1).flatMap(([names = '', forward = '', inverse = '', loss = '']) => {
      return names.split(', ').map((name) => [name, { forward, inverse, loss }] as const);
    }),
  );
}

function overview(kinds: readonly Op['kind'][]): string {
  const words = wordsByOp();
  const lines = kinds.map((kind) => {
    const { forward = '', inverse = '', loss = '' } = words.get(kind) ?? {};
    return `| [${kind}](#${kind.toLowerCase()}) | ${forward} | ${inverse} | ${loss} |`;
  });
  return table('| op | there | back | loss class |', lines);
}

function section(kind: Op['kind']): string {
  const { text, op, document, isNewer } = SAMPLES[kind];
  const [from, to] = isNewer === true ? (['2', '1'] as const) : (['1', '2'] as const);
  const { there, back, kept } = thereAndBack(op, document, from, to);
  const words = isNewer === true ? ['newer', 'down', 'up again'] : ['before', 'after', 'back'];
  const values = [document, there, back].map(
    (value, at) => `| ${words[at]} | \`${JSON.stringify(value)}\` |`,
  );
  return `## ${kind}

\`${text}\` is of class \`${lossOf(op)}\`.

${table('| | |', [
  ...values,
  ...(kept.length === 0 ? [] : [`| kept | ${kept.map((row) => `\`${row}\``).join(', ')} |`]),
])}`;
}

function thereAndBack(
  ops: Op,
  document: Json,
  from: string,
  to: string,
): { readonly there: Json; readonly back: Json; readonly kept: readonly string[] } {
  const type = defineDocument('sample', {
    schema: {},
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', [ops])],
    policy: { provenance: 'beside', residue: 'beside' },
  });
  const move = (value: Json, version: string, residue: Residue) => {
    const outcome = type.migrate(value, version, { now: '', residue, allowLossy: true });
    if (outcome.status === 'migrated') return outcome;
    throw new TypeError(`${ops.kind}: ${JSON.stringify(outcome)}`);
  };
  const there = move({ ...(document as JsonObject), schema_version: Number(from) }, to, []);
  const back = move(there.document, from, there.residue);
  const kept = there.residue.map(({ pointer, value }) => `${pointer}: ${JSON.stringify(value)}`);
  return { there: withoutVersion(there.document), back: withoutVersion(back.document), kept };
}

function withoutVersion(document: Json): Json {
  const { schema_version: _version, ...rest } = document as JsonObject;
  return rest;
}

function refusals(): string {
  const lines = Object.entries(OP_HINT).map(([reason, hint]) => `| \`${reason}\` | ${hint} |`);
  return `## What an op refuses

A document that an op cannot take is refused as [\`step_refused\`](errors.md) (${ERROR_CODES.step_refused.summary}), with the
pointer, the op and one of these reasons.

${table('| reason | what to do |', lines)}`;
}

function table(head: string, lines: readonly string[]): string {
  const rule = head.replaceAll(/[^|]+/g, ' --- ');
  return `${[head, rule, ...lines].join('\n')}\n`;
}
