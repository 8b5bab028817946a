/**
 * The JSON Schema of `migration.yml` (M9): every key of every depth is named, and which lists of scope and which limits there
 * are hangs on the kind (M14, M22).
 */
import type { Json, JsonObject } from '../base/index.ts';
import { closed, COUNT, DIGEST, KIND, list, MIGRATION_ID, TEXT } from './schema-part.ts';

/** What a kind's declaration may say: the things its scope lists, of which some lists may be left out, and its limits. */
export interface KindWords {
  /** Each `x` has a list `allowed_x` and a list `forbidden_x`; both are written, even when empty (M14). */
  readonly scope: readonly string[];
  /** As `scope`, but lists that may be left out: then they are empty. */
  readonly optionalScope?: readonly string[];
  readonly limits: readonly string[];
  /** Limits that are maps of a name to a cap of its own. */
  readonly limitMaps?: readonly string[];
  /** Set where an adapter declares limits of its own. */
  readonly openLimits?: boolean;
}

const RELATIONAL = { scope: ['schemas', 'tables'], optionalScope: ['objects'] } as const;

type KindName = (typeof KIND)['enum'][number];

/** The words of each kind, by its name. */
export const KIND_WORDS: Readonly<Record<KindName, KindWords>> = {
  postgis: {
    ...RELATIONAL,
    limits: ['max_table_count_touched', 'max_index_count_delta', 'max_row_backfill'],
  },
  search: {
    scope: ['indices', 'aliases'],
    limits: [
      'max_index_count_delta',
      'max_alias_count_flipped',
      'max_document_count',
      'max_mapping_field_delta',
    ],
  },
  graph: {
    scope: ['namespaces', 'labels', 'relationship_types'],
    limits: [
      'max_node_count_touched',
      'max_relationship_count_touched',
      'max_constraint_count_delta',
      'max_index_count_delta',
    ],
    limitMaps: ['per_label', 'per_relationship_type'],
  },
  pipeline: {
    ...RELATIONAL,
    limits: [
      'max_table_count_touched',
      'max_row_rekey',
      'max_row_backfill',
      'max_row_recompute',
      'max_row_retire',
    ],
  },
  document: {
    scope: ['documents', 'paths'],
    limits: ['max_document_count', 'max_document_quarantined', 'max_path_lossy', 'max_path_assumed'],
  },
  replica: {
    scope: ['collections', 'features'],
    limits: ['max_collection_count_touched', 'max_operation_count', 'max_gate_count_delta'],
  },
  other: { scope: ['objects'], limits: ['max_object_count_touched'], openLimits: true },
};

/** What protects readers where there is no way back (M47). */
export const SAFETY_STRATEGIES = [
  'dual-write',
  'shadow-index',
  'alias-flip',
  'blue-green',
  'forward-fix',
  'rebuild-from-source',
] as const;

/** How much a change asks of those who sign it, least first. */
export const CHANGE_CLASSES = ['routine', 'review-required', 'governance-critical'] as const;

/** Where products go: one place for all, so that evidence is found and verified without a declaration. */
const PRODUCT_PLACES = {
  baselines: { pre: 'baselines/pre.json', post: 'baselines/post.json' },
  diffs: {
    summary: 'diffs/summary.json',
    touched: 'diffs/touched.csv',
    temporal: 'diffs/temporal.json',
  },
} as const;

const NAMES = { type: 'array', items: TEXT, uniqueItems: true } as const;
const PATHS = { ...NAMES, minItems: 1 } as const;
const IDS = { ...NAMES, items: MIGRATION_ID } as const;
const NAME = { type: 'string', pattern: '^[a-z][a-z0-9_]*$' } as const;

const APPROVALS = closed(
  { required_reviewers: PATHS, change_class: oneOf(CHANGE_CLASSES) },
  { reference: TEXT, safety_strategy: oneOf(SAFETY_STRATEGIES) },
);

const RUNNER = closed(
  {},
  {
    tool: TEXT,
    command: TEXT,
    digest: DIGEST,
    environment: { ...NAMES, items: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' } },
  },
);

const ARTIFACTS = closed(
  { forward: PATHS },
  {
    rollback: NAMES,
    attachments: NAMES,
    baselines: placesOf(PRODUCT_PLACES.baselines),
    diffs: placesOf(PRODUCT_PLACES.diffs),
  },
);

const PHASE = closed(
  { file: TEXT, mode: oneOf(['transactional', 'nontransactional']) },
  { check: TEXT, compensate: TEXT },
);

const INVARIANT = closed({
  name: TEXT,
  query: TEXT,
  expect: { type: ['string', 'integer', 'boolean', 'null'] },
});

/** The schema `migration_declaration.v1`. */
export const DECLARATION: JsonObject = {
  ...closed(
    {
      migration_id: MIGRATION_ID,
      type: KIND,
      intent: { type: 'string', minLength: 1, maxLength: 500 },
      scope: { type: 'object' },
      limits: { type: 'object' },
      requires_rollback: { type: 'boolean' },
      approvals: APPROVALS,
      artifacts: ARTIFACTS,
    },
    {
      store: TEXT,
      runner: RUNNER,
      phases: list(PHASE, 1),
      statements: { ...NAMES, items: NAME },
      invariants: list(INVARIANT),
      after: IDS,
      supersedes: IDS,
    },
  ),
  allOf: Object.entries(KIND_WORDS).map(([kind, words]) => rulesOf(kind, words)),
};

function rulesOf(kind: string, words: KindWords): JsonObject {
  return {
    if: { type: 'object', properties: { type: { const: kind } }, required: ['type'] },
    // oxlint-disable-next-line unicorn/no-thenable -- the word of JSON Schema; nobody awaits a schema
    then: { type: 'object', properties: { scope: scopeOf(words), limits: limitsOf(words) } },
  };
}

function scopeOf({ scope, optionalScope = [] }: KindWords): JsonObject {
  return closed(namesOf(scope), namesOf(optionalScope));
}

function namesOf(things: readonly string[]): Readonly<Record<string, JsonObject>> {
  return Object.fromEntries(
    things.flatMap((thing) => [
      [`allowed_${thing}`, NAMES],
      [`forbidden_${thing}`, NAMES],
    ]),
  );
}

function limitsOf({ limits, limitMaps = [], openLimits = false }: KindWords): JsonObject {
  const caps = { type: 'object', additionalProperties: COUNT } as const;
  if (openLimits) return { ...closed({}), patternProperties: { '^max_[a-z_]+$': COUNT } };
  return closed(
    {},
    {
      ...Object.fromEntries(limits.map((name) => [name, COUNT])),
      ...Object.fromEntries(limitMaps.map((name) => [name, caps])),
    },
  );
}

function placesOf(places: Readonly<Record<string, string>>): JsonObject {
  return closed(
    {},
    Object.fromEntries(Object.entries(places).map(([name, path]) => [name, { const: path }])),
  );
}

function oneOf(values: readonly Json[]): JsonObject {
  return { enum: [...values] };
}
