/**
 * The JSON Schemas (2020-12) of the artifacts, by name and version. A published one never changes; `v2` stands beside
 * it (M29). Objects are closed where varve alone writes them; a receipt keeps unknown members (M39).
 */
import type { JsonObject } from '../base/index.ts';
import { DECLARATION } from './declaration-schema.ts';
import {
  ANY_OBJECT,
  closed,
  COUNT,
  DIGEST,
  DIRECTION,
  document,
  ENVIRONMENT,
  KIND,
  list,
  MIGRATION_ID,
  open,
  TEXT,
  TIME,
} from './schema-part.ts';

const TABLE_COUNTS = closed({
  table: TEXT,
  keep: COUNT,
  rekey: COUNT,
  backfill: COUNT,
  recompute: COUNT,
  retire: COUNT,
  ambiguous: COUNT,
  carried: COUNT,
});

const PLAN = closed({
  plan_version: { const: 'v1' },
  migration_id: MIGRATION_ID,
  bundle_digest: DIGEST,
  plan_digest: DIGEST,
  bound: closed(
    {
      kind: KIND,
      direction: DIRECTION,
      migration_id: MIGRATION_ID,
      bundle_digest: DIGEST,
      scope: ANY_OBJECT,
      limits: ANY_OBJECT,
      rollback_class: { enum: ['lossless', 'lossy_on_new_writes', 'restore_from_capture'] },
      tables: list(TABLE_COUNTS),
      objects: list(TEXT),
      work: ANY_OBJECT,
    },
    {
      enforcement: open({ level: TEXT, layers: list(TEXT), role: TEXT }),
    },
  ),
  shown: ANY_OBJECT,
});

const OBJECT_NAME = {
  kind: TEXT,
  schema: { type: 'string' },
  table: { type: ['string', 'null'] },
  name: { type: ['string', 'null'] },
} as const;
const BASELINE_TABLES = list(closed({ table: TEXT, rows: COUNT, digest: DIGEST }));
const KEYED = { type: 'string', pattern: '^hmac-sha256:[0-9a-f]{64}$' } as const;

const BASELINE = closed(
  {
    baseline_version: { const: 'v1' },
    algorithm: TEXT,
    server_version: TEXT,
    object_counts: { type: 'object', additionalProperties: COUNT },
    schema_fingerprint: closed({ strict: DIGEST, logical: DIGEST }),
    tables: BASELINE_TABLES,
  },
  {
    classes: list(
      closed({ schema: { type: 'string' }, kind: TEXT, objects: COUNT, strict: DIGEST, logical: DIGEST }),
    ),
    objects: list(
      closed({
        ...OBJECT_NAME,
        position: { anyOf: [COUNT, { type: 'null' }] },
        digest: DIGEST,
        properties: { type: 'object', additionalProperties: { type: 'string', pattern: '^[0-9a-f]{12}$' } },
      }),
    ),
    sequence_positions: DIGEST,
    protected_fingerprint: closed({
      value: DIGEST,
      key_id: KEYED,
      tables: list(closed({ table: TEXT, rows: COUNT, digest: KEYED })),
    }),
  },
);

const DIFF_SUMMARY = closed({
  diff_version: { const: 'v1' },
  declared: closed({ scope: ANY_OBJECT, limits: ANY_OBJECT }),
  derived: closed(
    {
      pre: DIGEST,
      post: DIGEST,
      schema_changed: { type: 'boolean' },
      object_counts: list(closed({ kind: TEXT, before: COUNT, after: COUNT })),
      tables: list(
        closed({
          table: TEXT,
          change: { enum: ['added', 'removed', 'changed', 'same'] },
          rows_before: { anyOf: [COUNT, { type: 'null' }] },
          rows_after: { anyOf: [COUNT, { type: 'null' }] },
        }),
      ),
    },
    {
      order_changed: { type: 'boolean' },
      objects: list(
        closed({ change: { enum: ['added', 'removed', 'changed'] }, ...OBJECT_NAME, properties: list(TEXT) }),
      ),
      classes: list(
        closed({ change: { enum: ['added', 'removed', 'changed'] }, kind: TEXT, schema: { type: 'string' } }),
      ),
      sequence_positions_changed: { type: 'boolean' },
      protected_changed: list(TEXT),
    },
  ),
  witnessed: closed({ layers: list(TEXT), objects: list(TEXT), tables: list(TABLE_COUNTS) }),
  verdicts: list(
    closed(
      { limit: TEXT, declared: COUNT, observed: COUNT, status: { enum: ['pass', 'fail'] } },
      { upper_bound: { const: true } },
    ),
  ),
});

const FINDING = open({
  code: TEXT,
  severity: { enum: ['error', 'review', 'warning', 'info'] },
  subject: { type: 'string' },
  detail: ANY_OBJECT,
  hint: { type: 'string' },
});
const CHECK = open(
  { name: TEXT, status: { enum: ['pass', 'fail', 'error', 'not_run'] } },
  { required: { const: false } },
);
const ARTIFACT = open({ path: TEXT, digest: DIGEST });

const RUN_RECEIPT = open(
  {
    run_receipt_version: { const: 'v1' },
    run_id: { type: 'string', pattern: '^(varve|kfm)://.+' },
    run_type: { const: 'migration' },
    direction: { enum: [...DIRECTION.enum, 'rehearsal'] },
    migration_id: MIGRATION_ID,
    outcome: { enum: ['committed', 'rolled_back', 'failed_before_commit', 'indeterminate'] },
    actor: open({ principal: TEXT, role: TEXT }),
    started_at: TIME,
    finished_at: TIME,
    environment: open({
      name: ENVIRONMENT,
      git_commit: { type: ['string', 'null'] },
      params_digest: { anyOf: [DIGEST, { type: 'null' }] },
      host: TEXT,
    }),
    inputs: list(ARTIFACT, 1),
    outputs: list(ARTIFACT),
    bundle_digest: DIGEST,
    plan_digest: DIGEST,
    approvals: list(DIGEST),
    enforcement: open({ level: TEXT, layers: list(TEXT), role: TEXT }),
    validation: open({ status: { enum: ['pass', 'fail'] }, checks: list(CHECK), findings: list(FINDING) }),
    rollback: open({ class: TEXT, rung: { type: ['string', 'null'] } }),
    chain: open({ seq: { ...COUNT, minimum: 1 }, prev: DIGEST, digest: DIGEST }),
  },
  {
    rolls_back: TEXT,
    resolved_from: TEXT,
    signed_by: { anyOf: [DIGEST, { type: 'null' }] },
    retention_until: TIME,
    proof: open({
      status: { enum: ['equal', 'equal_except_new_writes', 'not_equal'] },
      expected: DIGEST,
      found: DIGEST,
      new_writes: list(open({ table: TEXT, rows: COUNT })),
    }),
  },
);

const REHEARSAL_RECEIPT = open(
  {
    run_receipt_version: { const: 'v1' },
    run_id: { type: 'string', pattern: '^varve://run/.+' },
    run_type: { const: 'migration' },
    direction: { const: 'rehearsal' },
    migration_id: MIGRATION_ID,
    actor: open({ principal: TEXT, role: TEXT }),
    started_at: TIME,
    finished_at: TIME,
    environment: open({ name: ENVIRONMENT }),
    inputs: list(ARTIFACT, 1),
    outputs: list(ARTIFACT),
    bundle_digest: DIGEST,
    plan_digest: DIGEST,
    enforcement: open({ level: TEXT, layers: list(TEXT), role: TEXT }),
    validation: open({ status: { enum: ['pass', 'fail'] }, checks: list(CHECK, 1), findings: list(FINDING) }),
    rollback: open({ class: TEXT, rung: { enum: ['R3', 'R4', null] } }),
    forward_twice: { enum: ['no_op', 'error', 'second_change', 'not_run'] },
  },
  {
    signed_by: { anyOf: [DIGEST, { type: 'null' }] },
    retention_until: TIME,
    probe: open({
      tables: list(open({ table: TEXT, rows: COUNT })),
      way_back: { enum: ['applied', 'refused', 'not_run'] },
    }),
  },
);

const LEDGER_ENTRY = closed({
  ledger_version: { const: 'v1' },
  seq: { ...COUNT, minimum: 1 },
  prev: DIGEST,
  digest: DIGEST,
  run_id: TEXT,
  migration_id: MIGRATION_ID,
  phase: { enum: ['opened', 'baselined', 'committed', 'undone', 'closed'] },
  environment: ENVIRONMENT,
  direction: DIRECTION,
  attempt: { ...COUNT, minimum: 1 },
  bundle_digest: DIGEST,
  plan_digest: DIGEST,
  body_digest: DIGEST,
  receipt_digest: { anyOf: [DIGEST, { type: 'null' }] },
  at: TIME,
});

const RECEIPT_REF = closed({
  ref_version: { const: 'v1' },
  run_id: TEXT,
  migration_id: MIGRATION_ID,
  digest: DIGEST,
  size: COUNT,
  media_type: { const: 'application/json' },
  // A path, or an address without user, query and fragment.
  uri: { type: 'string', pattern: '^[^@?#]+$' },
  store: closed({ kind: TEXT, retention_until: { anyOf: [TIME, { type: 'null' }] } }),
  envelope_digest: { anyOf: [DIGEST, { type: 'null' }] },
});

const LEDGER_HEAD = closed({
  head_version: { const: 'v1' },
  environment: ENVIRONMENT,
  tree_size: { ...COUNT, minimum: 1 },
  root: DIGEST,
  seq: { ...COUNT, minimum: 1 },
  digest: DIGEST,
  at: TIME,
});

const KEYS = closed({
  keys_version: { const: 'v1' },
  keys: list(
    closed({
      key_id: DIGEST,
      principal: TEXT,
      role: { enum: ['approver', 'runner'] },
      environments: list(ENVIRONMENT, 1),
      public_key: TEXT,
      valid_from: TIME,
      valid_until: { anyOf: [TIME, { type: 'null' }] },
    }),
  ),
});

const APPROVAL = closed({
  approval_version: { const: 'v1' },
  migration_id: MIGRATION_ID,
  bundle_digest: DIGEST,
  plan_digest: DIGEST,
  environment: ENVIRONMENT,
  principal: TEXT,
  grants: list({ enum: ['apply', 'rollback', 'retire', 'irreversible'] }, 1),
  exceptions: list(closed({ code: TEXT, subject: TEXT, ceiling: { anyOf: [COUNT, { type: 'null' }] } })),
  issued_at: TIME,
  expires_at: TIME,
});

/** A path that leads nowhere else by its text: relative, no `..`, no backslash. */
const INSIDE = {
  type: 'string',
  pattern: '^(?!/)(?!(?:.*/)?\\.\\.(?:/|$))[^\\\\\\u0000]+$',
} as const;

const STATUS = {
  enum: [
    'draft',
    'approved',
    'merged',
    'executed_dev',
    'executed_stage',
    'executed_prod',
    'rolled_back',
    'superseded',
  ],
} as const;

const REGISTRY = closed({
  registry_version: { const: 'v1' },
  migrations: list(
    closed({
      id: MIGRATION_ID,
      type: KIND,
      owners: list(TEXT, 1),
      status: STATUS,
      bundle: TEXT,
      history: list(closed({ status: STATUS, at: TIME, by: TEXT, bundle_digest: DIGEST }), 1),
    }),
  ),
});

const ADOPTED_HISTORY = closed({
  history_version: { const: 'v1' },
  tool: { enum: ['flyway', 'graphile-migrate', 'prisma', 'sql'] },
  folder: INSIDE,
  table: { anyOf: [TEXT, { type: 'null' }] },
  migrations: list(
    closed({
      id: TEXT,
      description: { type: 'string' },
      path: INSIDE,
      checksum: TEXT,
      checksum_algorithm: { enum: ['flyway-crc32', 'graphile-sha1', 'sha256'] },
      equal_checksums: list(TEXT),
      digest: DIGEST,
      order: { ...COUNT, minimum: 1 },
      repeatable: { type: 'boolean' },
    }),
    1,
  ),
});

/** Every schema by its name with its version. */
export const SCHEMAS: Readonly<Record<SchemaName, JsonObject>> = {
  'migration_declaration.v1': document('migration_declaration.v1', DECLARATION),
  'plan.v1': document('plan.v1', PLAN),
  'baseline.v1': document('baseline.v1', BASELINE),
  'diff_summary.v1': document('diff_summary.v1', DIFF_SUMMARY),
  'run_receipt.v1': document('run_receipt.v1', RUN_RECEIPT),
  'rehearsal_receipt.v1': document('rehearsal_receipt.v1', REHEARSAL_RECEIPT),
  'receipt_ref.v1': document('receipt_ref.v1', RECEIPT_REF),
  'ledger_entry.v1': document('ledger_entry.v1', LEDGER_ENTRY),
  'ledger_head.v1': document('ledger_head.v1', LEDGER_HEAD),
  'keys.v1': document('keys.v1', KEYS),
  'approval.v1': document('approval.v1', APPROVAL),
  'registry.v1': document('registry.v1', REGISTRY),
  'adopted_history.v1': document('adopted_history.v1', ADOPTED_HISTORY),
};

/** The name of a schema. */
export type SchemaName =
  | 'migration_declaration.v1'
  | 'plan.v1'
  | 'baseline.v1'
  | 'diff_summary.v1'
  | 'run_receipt.v1'
  | 'rehearsal_receipt.v1'
  | 'receipt_ref.v1'
  | 'ledger_entry.v1'
  | 'ledger_head.v1'
  | 'keys.v1'
  | 'approval.v1'
  | 'registry.v1'
  | 'adopted_history.v1';
