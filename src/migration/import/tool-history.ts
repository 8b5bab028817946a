/**
 * What the table of another tool says was applied. The table is only read.
 *
 * | tool | table | an entry is |
 * |---|---|---|
 * | Flyway | `flyway_schema_history` of any schema | applied, failed (`success`), undone or deleted by a later one |
 * | graphile-migrate | `graphile_migrate.migrations` | applied |
 * | Prisma | `_prisma_migrations` of any schema | applied, failed (never finished), rolled back |
 */
import { refusal, type Finding } from '../../base/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { flywayId, flywayRepeatableId } from './flyway.ts';
import type { ImportTool } from './imported-item.ts';

/** What a tool's table says of one migration. */
export interface HistoryEntry {
  /** As `ImportedItem.id`. */
  readonly id: string;
  readonly checksum: string | null;
  readonly state: 'applied' | 'failed' | 'undone';
  /** Whether the tool has a script for it: a migration in Java has none. */
  readonly hasFile: boolean;
}

/** The whole table. */
export interface ToolHistory {
  /** `schema.table`. */
  readonly table: string;
  readonly entries: readonly HistoryEntry[];
  /** Flyway: the version up to which nothing was run, for it stood there already. */
  readonly baseline?: string;
}

/** The name of each tool's table; undefined for a tool that keeps none. */
const TABLES: Readonly<Record<ImportTool, string | undefined>> = {
  flyway: 'flyway_schema_history',
  'graphile-migrate': 'migrations',
  prisma: '_prisma_migrations',
  sql: undefined,
};

/** The table of a tool, as `schema.table`; undefined where there is none. Errors: `import_ambiguous` where there are several. */
export async function findToolTable(
  queryable: Queryable,
  tool: ImportTool,
  named?: string,
): Promise<string | Finding | undefined> {
  const name = TABLES[tool];
  if (name === undefined) return undefined;
  const wanted = named === undefined ? name : named.slice(named.indexOf('.') + 1);
  const schema =
    named === undefined
      ? tool === 'graphile-migrate'
        ? 'graphile_migrate'
        : null
      : named.slice(0, named.indexOf('.'));
  const rows = await queryable.query<{ readonly schema: string }>(sql`
    select n.nspname as schema from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = ${wanted} and c.relkind in ('r', 'p') and n.nspname !~ '^pg_'
      and (${schema}::text is null or n.nspname = ${schema}::text) order by n.nspname`);
  const found = rows.map((row) => `${row.schema}.${wanted}`);
  if (found.length <= 1) return found[0];
  const hint = `Name the one that these files belong to: --history-table ${found[0] ?? ''}.`;
  return refusal('import_ambiguous', wanted, { detail: { tables: found }, hint });
}

/** Reads the table of a tool. */
export async function readToolHistory(
  queryable: Queryable,
  tool: ImportTool,
  table: string,
): Promise<ToolHistory> {
  const dot = table.indexOf('.');
  const from = sql.id(table.slice(0, dot), table.slice(dot + 1));
  if (tool === 'flyway') return flywayHistory(table, await flywayRows(queryable, from));
  if (tool === 'prisma') return { table, entries: prismaEntries(await prismaRows(queryable, from)) };
  const rows = await queryable.query<{ readonly filename: string; readonly hash: string }>(
    sql`select filename, hash from ${from} order by filename`,
  );
  const entries = rows.map(({ filename, hash }): HistoryEntry => ({
    id: filename,
    checksum: hash,
    state: 'applied',
    hasFile: true,
  }));
  return { table, entries };
}

/** One row of Flyway's table. */
export type FlywayRow = {
  readonly version: string | null;
  readonly description: string;
  readonly type: string;
  readonly checksum: string | null;
  readonly success: boolean;
};

async function flywayRows(queryable: Queryable, from: Sql): Promise<readonly FlywayRow[]> {
  return queryable.query<FlywayRow>(
    sql`select version, description, type, checksum::text as checksum, success from ${from} order by installed_rank`,
  );
}

/** Flyway's rows in the order of their rank: the last one of a migration says how it stands. */
export function flywayHistory(table: string, rows: readonly FlywayRow[]): ToolHistory {
  const entries = new Map<string, HistoryEntry>();
  let baseline: string | undefined;
  for (const { version, description, type, checksum, success } of rows) {
    if (type === 'SCHEMA') continue;
    if (type.endsWith('BASELINE')) {
      baseline = version ?? baseline;
      continue;
    }
    const id = version === null ? flywayRepeatableId(description) : flywayId(version);
    const isGone = type === 'DELETE' || (type.startsWith('UNDO') && success);
    const state = isGone ? 'undone' : success ? 'applied' : 'failed';
    entries.set(id, { id, checksum, state, hasFile: type === 'SQL' || isGone });
  }
  return { table, entries: [...entries.values()], ...(baseline === undefined ? {} : { baseline }) };
}

type PrismaRow = {
  readonly name: string;
  readonly checksum: string;
  readonly finished: boolean;
  readonly rolledBack: boolean;
};

async function prismaRows(queryable: Queryable, from: Sql): Promise<readonly PrismaRow[]> {
  return queryable.query<PrismaRow>(sql`
    select migration_name as name, checksum, finished_at is not null as finished,
      rolled_back_at is not null as "rolledBack" from ${from} order by started_at, id`);
}

/** A migration may have a row for each try; one that was finished and not taken back counts, then one that is open. */
function prismaEntries(rows: readonly PrismaRow[]): readonly HistoryEntry[] {
  return [...Map.groupBy(rows, ({ name }) => name)].map(([id, tries]): HistoryEntry => {
    const applied = tries.findLast(({ finished, rolledBack }) => finished && !rolledBack);
    const failed = tries.findLast(({ finished, rolledBack }) => !finished && !rolledBack);
    const state = failed !== undefined ? 'failed' : applied !== undefined ? 'applied' : 'undone';
    return { id, checksum: (failed ?? applied ?? tries.at(-1))?.checksum ?? null, state, hasFile: true };
  });
}
