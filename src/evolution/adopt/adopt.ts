import { refusal, type Finding } from '../../base/index.ts';
import { sql, type Queryable, type Store } from '../../store/index.ts';
import { draftDefinitions } from './draft.ts';
import { nameOf, type DraftTable } from './draft-table.ts';
import { readStandingTables, type StandingTable } from './standing-table.ts';
import { isWritable, writeDefinitions } from './write-definitions.ts';

/** What to adopt, and how. */
export interface AdoptOptions {
  /** Default: every schema that is not the system's or varve's own. */
  readonly schemas?: readonly string[];
  /** The outside program that computes; it is given the name of the table as its last argument. */
  readonly command?: readonly string[];
  /** How it is spoken to. Default `once`. */
  readonly mode?: 'once' | 'lines';
  /** Whether names tell tiers and parts, as DataJoint's do. Default true. */
  readonly conventions?: boolean;
  /** The store of the configuration, as code. */
  readonly store: string;
}

/** One table that was found: what it is called, and where it stands. */
export interface AdoptedTable {
  readonly table: string;
  readonly standsAs: string;
  readonly tier: string;
}

/** Files to write, or why there are none. */
export type AdoptResult =
  | {
      readonly status: 'ok';
      readonly files: Readonly<Record<string, string>>;
      readonly tables: readonly AdoptedTable[];
      /** Tables that another program keeps for itself. */
      readonly skipped: readonly string[];
      readonly findings: readonly Finding[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Writes definitions of the tables of a database; nothing in it is changed, and nothing of varve's need be in it.
 *
 * Errors: refuses with `unknown_schema`, `adopt_inexpressible` where no table can be defined.
 */
export async function adoptDefinitions(store: Store, options: AdoptOptions): Promise<AdoptResult> {
  const { schemas, command, mode = 'once', conventions = true } = options;
  return store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) => {
    const standing = await readStandingTables(transaction, { schemas });
    const unknown = (schemas ?? []).filter((schema) => !standing.some((table) => table.schema === schema));
    if (unknown.length > 0) return { status: 'refused', findings: unknown.map(noTables) };
    const draft = draftDefinitions(standing, { conventions });
    if (draft.tables.length === 0) return { status: 'refused', findings: [nothing(), ...draft.findings] };
    const contents = await readContents(transaction, draft.tables);
    const written = writeDefinitions(draft, { command, mode, contents, store: options.store });
    const tables = draft.tables.map(({ schema, name, tier, standing: stands }) => ({
      table: `${schema}.${name}`,
      standsAs: nameOf(stands),
      tier,
    }));
    const findings = [...draft.findings, ...written.findings];
    return { status: 'ok', files: written.files, tables, skipped: draft.skipped, findings };
  });
}

function noTables(schema: string): Finding {
  return refusal('unknown_schema', schema, {
    hint: 'Name a schema that has tables, as `varve graph` shows them.',
  });
}

function nothing(): Finding {
  return refusal('adopt_inexpressible', 'database', {
    detail: { what: 'no table that a definition could say' },
    hint: 'Look at the other findings; a table needs a primary key at least.',
  });
}

/** More rows are data rather than code. */
const MOST_CONTENTS = 500;

/** The rows of the lookups, where they can be written as code. */
async function readContents(
  transaction: Queryable,
  tables: readonly DraftTable[],
): Promise<ReadonlyMap<string, readonly Readonly<Record<string, unknown>>[]>> {
  const contents = new Map<string, readonly Readonly<Record<string, unknown>>[]>();
  for (const { standing } of tables.filter(({ tier }) => tier === 'lookup')) {
    const rows = await rowsOf(transaction, standing);
    const isCode = rows.length <= MOST_CONTENTS && rows.every((row) => Object.values(row).every(isWritable));
    if (isCode) contents.set(nameOf(standing), rows);
  }
  return contents;
}

async function rowsOf(
  transaction: Queryable,
  { schema, name, columns, primaryKey }: StandingTable,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const list = sql.join(columns.map((column) => sql.id(column.name)));
  const key = sql.join(primaryKey.map((column) => sql.id(column)));
  return transaction.query(
    sql`select ${list} from ${sql.id(schema, name)} order by ${key} limit ${MOST_CONTENTS + 1}`,
  );
}
