import {
  DEFAULT_SETTINGS,
  planMigration,
  writeBundle,
  type BundleReading,
  type PlanOutcome,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { postgisKind } from '../../src/migration/kind/postgis/index.ts';
import type { Store } from '../../src/store/index.ts';
import { runnerOptions } from './fixture.ts';

/** What a bundle of SQL scripts is written from; what is left out is a plain default. */
export interface SqlBundle {
  readonly id?: string;
  readonly forward: string;
  readonly rollback?: string;
  readonly schema: string;
  readonly tables?: readonly string[];
  readonly objects?: readonly string[];
  readonly forbiddenSchemas?: readonly string[];
  readonly forbiddenTables?: readonly string[];
  readonly limits?: Readonly<Record<string, number>>;
  readonly statements?: readonly string[];
  /** Default `routine`. */
  readonly changeClass?: 'routine' | 'review-required' | 'governance-critical';
  readonly phases?: readonly {
    readonly file: string;
    readonly mode: 'transactional' | 'nontransactional';
    readonly check?: string;
    readonly compensate?: string;
  }[];
  /** Further forward files by name; `forward` is `forward.sql`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly invariants?: readonly {
    readonly name: string;
    readonly query: string;
    readonly expect: string | number | boolean | null;
  }[];
}

/** Runner options for bundles of kind `postgis`. */
export function sqlOptions(store: Store, root: string): RunnerOptions {
  const protectedKey = new TextEncoder().encode('a key of thirty-two bytes or more');
  return {
    ...runnerOptions(store, root),
    kinds: [postgisKind],
    settings: { ...DEFAULT_SETTINGS, protectedKey },
  };
}

export const PG_ID = 'PG-MIG-2026-05-12-01';

/** Writes a bundle. */
export async function writeSql(root: string, bundle: SqlBundle): Promise<BundleReading> {
  const { id = PG_ID, forward, rollback = 'select 1;', schema, files = {} } = bundle;
  return writeBundle(root, {
    declaration: {
      migration_id: id,
      type: 'postgis',
      intent: 'For a test.',
      scope: {
        allowed_schemas: [schema],
        allowed_tables: bundle.tables ?? [],
        allowed_objects: bundle.objects ?? [],
        forbidden_schemas: bundle.forbiddenSchemas ?? [],
        forbidden_tables: bundle.forbiddenTables ?? [],
        forbidden_objects: [],
      },
      limits: {
        max_table_count_touched: 10,
        max_index_count_delta: 10,
        max_row_backfill: 1000,
        ...bundle.limits,
      },
      requires_rollback: true,
      approvals: { required_reviewers: ['group:approvers'], change_class: bundle.changeClass ?? 'routine' },
      artifacts: {
        forward: [...(bundle.phases?.map(({ file }) => file) ?? ['forward.sql', ...Object.keys(files)])],
        rollback: ['rollback.sql'],
      },
      ...(bundle.phases === undefined ? {} : { phases: bundle.phases }),
      ...(bundle.statements === undefined ? {} : { statements: bundle.statements }),
      ...(bundle.invariants === undefined ? {} : { invariants: bundle.invariants }),
    },
    files: {
      'forward.sql': forward,
      'rollback.sql': rollback,
      'notes.md': '# Why\n\nFor a test.\n',
      ...files,
    },
  });
}

/** Writes a bundle and plans it. */
export async function planSql(options: RunnerOptions, bundle: SqlBundle): Promise<PlanOutcome> {
  const written = await writeSql(options.root, bundle);
  if (written.status === 'refused') return written;
  return planMigration(options, bundle.id ?? PG_ID);
}
