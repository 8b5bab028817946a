/** The fixtures that are written beside a registry: of every artifact one that is valid and one that is not. */
import { KIND_WORDS, type SchemaName } from '../evidence/index.ts';
import type { Json, JsonObject } from '../base/index.ts';
import { KIND_PREFIXES, type KindName } from './migration-id.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const AT = '2026-03-01T10:00:00.000Z';
const ID = 'PG-MIG-2026-03-01-01';
const COUNTS = {
  table: 'app.site',
  keep: 0,
  rekey: 0,
  backfill: 2,
  recompute: 0,
  retire: 0,
  ambiguous: 0,
  carried: 0,
};

/** Of each artifact a valid value, with what makes it invalid: a member left out, or one that is not as it has to be. */
const VALUES: Readonly<
  Record<
    Exclude<SchemaName, 'migration_declaration.v1'>,
    readonly [JsonObject, string, (value: JsonObject) => Json]
  >
> = {
  'plan.v1': [
    {
      plan_version: 'v1',
      migration_id: ID,
      bundle_digest: DIGEST,
      plan_digest: DIGEST,
      bound: {
        kind: 'postgis',
        direction: 'forward',
        migration_id: ID,
        bundle_digest: DIGEST,
        scope: {},
        limits: {},
        rollback_class: 'lossless',
        tables: [COUNTS],
        objects: ['app.site'],
        work: {},
      },
      shown: {},
    },
    'pattern',
    (value) => ({ ...value, plan_digest: 'sha256:A' }),
  ],
  'baseline.v1': [
    {
      baseline_version: 'v1',
      algorithm: 'pg-catalog/1',
      server_version: '18',
      object_counts: { tables: 1 },
      schema_fingerprint: { strict: DIGEST, logical: DIGEST },
      tables: [{ table: 'app.site', rows: 2, digest: DIGEST }],
    },
    'required',
    ({ algorithm: _algorithm, ...rest }) => rest,
  ],
  'diff_summary.v1': [
    {
      diff_version: 'v1',
      declared: { scope: {}, limits: { max_row_backfill: 2 } },
      derived: {
        pre: DIGEST,
        post: DIGEST,
        schema_changed: true,
        object_counts: [{ kind: 'columns', before: 1, after: 2 }],
        tables: [{ table: 'app.site', change: 'changed', rows_before: 2, rows_after: 2 }],
      },
      witnessed: { layers: ['L5'], objects: ['app.site'], tables: [COUNTS] },
      verdicts: [{ limit: 'max_row_backfill', declared: 2, observed: 2, status: 'pass' }],
    },
    'additionalProperties',
    (value) => ({ ...value, rows: [1] }),
  ],
  'run_receipt.v1': [
    {
      run_receipt_version: 'v1',
      run_id: 'varve://run/2026-03-01T10:00:00Z.migration.PG-MIG-2026-03-01-01.9f31c2aa',
      run_type: 'migration',
      direction: 'forward',
      migration_id: ID,
      outcome: 'committed',
      actor: { principal: 'svc:runner', role: 'runner' },
      started_at: AT,
      finished_at: AT,
      environment: { name: 'stage', git_commit: null, params_digest: null, host: 'runner' },
      inputs: [{ path: 'forward.sql', digest: DIGEST }],
      outputs: [{ path: 'baselines/pre.json', digest: DIGEST }],
      bundle_digest: DIGEST,
      plan_digest: DIGEST,
      approvals: [DIGEST],
      enforcement: { level: 'observed', layers: ['L0', 'L1'], role: 'none' },
      validation: { status: 'pass', checks: [{ name: 'scope_enforcement', status: 'pass' }], findings: [] },
      rollback: { class: 'lossless', rung: null },
      chain: { seq: 1, prev: DIGEST, digest: DIGEST },
    },
    'enum',
    (value) => ({ ...value, outcome: 'done' }),
  ],
  'rehearsal_receipt.v1': [
    {
      run_receipt_version: 'v1',
      run_id: 'varve://run/2026-03-01T10:00:00Z.rehearsal.PG-MIG-2026-03-01-01.9f31c2aa',
      run_type: 'migration',
      direction: 'rehearsal',
      migration_id: ID,
      actor: { principal: 'svc:runner', role: 'runner' },
      started_at: AT,
      finished_at: AT,
      environment: { name: 'stage', git_commit: null, params_digest: null, host: 'runner' },
      inputs: [{ path: 'forward.sql', digest: DIGEST }],
      outputs: [{ path: 'rehearsal/pre.json', digest: DIGEST }],
      bundle_digest: DIGEST,
      plan_digest: DIGEST,
      enforcement: { level: 'guarded', layers: ['L0', 'L1'], role: 'none' },
      validation: { status: 'pass', checks: [{ name: 'equal_to_pre', status: 'pass' }], findings: [] },
      rollback: { class: 'lossless', rung: 'R3' },
      forward_twice: 'no_op',
      signed_by: null,
    },
    'const',
    (value) => ({ ...value, direction: 'forward' }),
  ],
  'receipt_ref.v1': [
    {
      ref_version: 'v1',
      run_id: 'varve://run/1',
      migration_id: ID,
      digest: DIGEST,
      size: 2048,
      media_type: 'application/json',
      uri: 'evidence/store/sha256/aa/aaaa',
      store: { kind: 'folder', retention_until: null },
      envelope_digest: null,
    },
    'pattern',
    (value) => ({ ...value, uri: 'https://store.example.org/receipt?token=x' }),
  ],
  'ledger_head.v1': [
    { head_version: 'v1', environment: 'dev', tree_size: 1, root: DIGEST, seq: 1, digest: DIGEST, at: AT },
    'minimum',
    (value) => ({ ...value, tree_size: 0 }),
  ],
  'ledger_entry.v1': [
    {
      ledger_version: 'v1',
      seq: 1,
      prev: DIGEST,
      digest: DIGEST,
      run_id: 'varve://run/1',
      migration_id: ID,
      phase: 'opened',
      environment: 'dev',
      direction: 'forward',
      attempt: 1,
      bundle_digest: DIGEST,
      plan_digest: DIGEST,
      body_digest: DIGEST,
      receipt_digest: null,
      at: AT,
    },
    'minimum',
    (value) => ({ ...value, seq: 0 }),
  ],
  'adopted_history.v1': [
    {
      history_version: 'v1',
      tool: 'flyway',
      folder: 'db/migration',
      table: 'public.flyway_schema_history',
      migrations: [
        {
          id: '1.2',
          description: 'sites',
          path: 'V1.2__sites.sql',
          checksum: '-1044267932',
          checksum_algorithm: 'flyway-crc32',
          equal_checksums: [],
          digest: DIGEST,
          order: 1,
          repeatable: false,
        },
      ],
    },
    'minItems',
    (value) => ({ ...value, migrations: [] }),
  ],
  'keys.v1': [
    {
      keys_version: 'v1',
      keys: [
        {
          key_id: DIGEST,
          principal: 'user:eve',
          role: 'approver',
          environments: ['dev'],
          public_key: 'AAAA',
          valid_from: AT,
          valid_until: null,
        },
      ],
    },
    'type',
    (value) => ({ ...value, keys: null }),
  ],
  'approval.v1': [
    {
      approval_version: 'v1',
      migration_id: ID,
      bundle_digest: DIGEST,
      plan_digest: DIGEST,
      environment: 'stage',
      principal: 'user:eve',
      grants: ['apply'],
      exceptions: [{ code: 'backfill_large', subject: 'app.site', ceiling: 250_000 }],
      issued_at: AT,
      expires_at: '2026-03-08T10:00:00.000Z',
    },
    'minItems',
    (value) => ({ ...value, grants: [] }),
  ],
  'registry.v1': [
    {
      registry_version: 'v1',
      migrations: [
        {
          id: ID,
          type: 'postgis',
          owners: ['user:eve'],
          status: 'draft',
          bundle: `postgis/${ID}`,
          history: [{ status: 'draft', at: AT, by: 'user:eve', bundle_digest: DIGEST }],
        },
      ],
    },
    'const',
    (value) => ({ ...value, registry_version: 'v2' }),
  ],
};

const ENDINGS: Readonly<Record<KindName, string>> = {
  postgis: 'sql',
  search: 'json',
  graph: 'cypher',
  pipeline: 'json',
  document: 'json',
  replica: 'json',
  other: 'txt',
};

/** The fixtures by their path under `registry/`. */
export const FIXTURES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(VALUES).flatMap(([schema, [valid, reason, spoil]]) => [
      [`fixtures/valid/${schema}.one.json`, text(valid)],
      [`fixtures/invalid/${schema}.${reason}.json`, text(spoil(valid))],
    ]),
  ),
  ...Object.fromEntries(
    (Object.keys(KIND_PREFIXES) as KindName[]).map((kind) => [
      `fixtures/valid/migration_declaration.v1.${kind}.yml`,
      declaration(kind),
    ]),
  ),
  ...Object.fromEntries(
    (
      [
        ['duplicate_key', (yaml: string) => `${yaml}intent: again\n`],
        ['number_not_plain', (yaml: string) => yaml.replace('max_row_backfill: 1', 'max_row_backfill: 1e2')],
        ['wildcard', (yaml: string) => yaml.replace('allowed_tables: []', 'allowed_tables: ["*"]')],
        ['own_catalog', (yaml: string) => yaml.replace('allowed_schemas: []', 'allowed_schemas: [varve]')],
        ['additionalProperties', (yaml: string) => `${yaml}colour: red\n`],
        ['rollback_missing', (yaml: string) => yaml.replace(/  rollback: .*\n/u, '')],
      ] as const
    ).map(([reason, spoil]) => [
      `fixtures/invalid/migration_declaration.v1.${reason}.yml`,
      spoil(declaration('postgis')),
    ]),
  ),
};

function text(value: Json): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function declaration(kind: KindName): string {
  const { scope, limits } = KIND_WORDS[kind];
  const lists = scope.flatMap((thing) => [`  allowed_${thing}: []`, `  forbidden_${thing}: []`]);
  return `migration_id: ${KIND_PREFIXES[kind]}-MIG-2026-03-01-01
type: ${kind}
intent: A declaration of this kind that is as it has to be.
scope:
${lists.join('\n')}
limits:
${limits.map((name) => `  ${name}: 1`).join('\n')}
requires_rollback: true
approvals:
  required_reviewers: ['group:approvers']
  change_class: routine
artifacts:
  forward: [forward.${ENDINGS[kind]}]
  rollback: [rollback.${ENDINGS[kind]}]
`;
}
