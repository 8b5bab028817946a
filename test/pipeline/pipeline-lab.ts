import { sha256, type Digest } from '../../src/evidence/index.ts';
import { systemClock, systemRandomBytes } from '../../src/base/index.ts';
import {
  createTables,
  definitionsOf,
  insertRows,
  loadRelations,
  outputOf,
  populate,
  recordDeployment,
  relationOf,
  tableId,
  type AnyTable,
  type Definitions,
  type Pipeline,
  type PopulateOptions,
  type PopulateResult,
  type Relation,
} from '../../src/pipeline/index.ts';
import type { CodeIdentity } from '../../src/pipeline/code-digest.ts';
import type { RunEnvironment } from '../../src/run/index.ts';
import { sql, type Row, type Sql, type Store } from '../../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../../src/store/postgres/index.ts';

export const environment: RunEnvironment = {
  actor: 'ada',
  host: 'bench-1',
  processId: 42,
  gitCommit: 'c0ffee',
  lockDigest: `sha256:${'1'.repeat(64)}`,
  clock: systemClock,
  randomBytes: systemRandomBytes,
};

/** Definitions in a database, and the usual verbs over them. */
export interface Deployed {
  readonly store: Store;
  readonly definitions: Definitions;
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  readonly populate: (options?: Partial<PopulateOptions>) => Promise<PopulateResult>;
  /** Inserts and fails the test where it is refused. */
  readonly insert: (table: AnyTable, rows: readonly object[]) => Promise<void>;
  /** All rows by primary key. */
  readonly rows: (table: AnyTable) => Promise<readonly Row[]>;
  readonly relation: (table: AnyTable) => Promise<Relation>;
  /** Keys whose recorded output is not the digest of what stands; those without a record are among them. */
  readonly wrongOutputs: (table: AnyTable) => Promise<number>;
}

/** Installs the catalog, creates the tables of these pipelines and records the deployment. */
export async function deploy(store: Store, ...pipelines: readonly Pipeline[]): Promise<Deployed> {
  await installCatalog(store, { files: await readCatalogFiles() });
  const collected = definitionsOf(pipelines);
  if (collected.status === 'refused') throw new Error(JSON.stringify(collected.findings));
  const { definitions } = collected;
  await store.transaction({}, async (transaction) => {
    const relations = await loadRelations(transaction);
    const world = { set: definitions.set, relations, run: 'varve://run/test' };
    await createTables(
      transaction,
      definitions.set.tables.filter(({ name }) => !relations.has(name)),
      world,
    );
    await recordDeployment(transaction, definitions.set, definitions.digest, 'varve://run/test');
  });
  return attach(store, definitions);
}

/** The verbs over definitions that are deployed already. */
export function attach(
  store: Store,
  definitions: Definitions,
  codeByTable: ReadonlyMap<string, CodeIdentity> = codeOf([...definitions.tableByName.values()]),
): Deployed {
  const relation = async (table: AnyTable) => relationOf(await loadRelations(store), table.spec.name);
  return {
    store,
    definitions,
    codeByTable,
    relation,
    populate: (options = {}) =>
      populate(store, {
        definitions,
        environment,
        projectFolder: import.meta.dirname,
        codeByTable,
        ...options,
      }),
    insert: async (table, rows) => {
      const result = await insertRows(store, table, rows, { source: 'test', actor: 'ada' });
      if (result.status === 'refused') throw new Error(JSON.stringify(result.findings));
    },
    rows: async (table) => {
      const key = sql.join(table.spec.primaryKey.map((column) => sql.id(column)));
      return store.query(sql`select * from ${tableId((await relation(table)).placement)} order by ${key}`);
    },
    wrongOutputs: async (table) => wrongOutputs(store, await relation(table)),
  };
}

async function wrongOutputs(store: Store, relation: Relation): Promise<number> {
  const [row] = await store.query<{ wrong: number }>(sql`
    select count(*)::int as wrong from (${keysOf(relation)}) k
    left join varve.computation c on c.relation = ${relation.id}
      and c.key_hash = substr(varve.digest_1(variadic array[${sql.join(relation.spec.sourceKey.map((c) => sql`k.${sql.id(c)}::text`))}]), 1, 16)
    where c.output is distinct from ${outputOf(relation, await loadRelations(store), sql`k`)}`);
  return row?.wrong ?? -1;
}

function keysOf(relation: Relation): Sql {
  const key = sql.join(relation.spec.sourceKey.map((column) => sql.id(column)));
  return sql`select distinct ${key} from ${tableId(relation.placement)}`;
}

/** Code identities by the text of the makes: enough where a test is not about code. */
export function codeOf(tables: readonly AnyTable[], salt = ''): ReadonlyMap<string, CodeIdentity> {
  return new Map(
    tables.map((table) => {
      const { make, makeWith } = table.definition;
      const source = `${salt}${String(make ?? makeWith ?? table.spec.query ?? '')}`;
      const digest: Digest = sha256(source);
      return [
        table.spec.name,
        { digest: digest as CodeIdentity['digest'], basis: 'text', packages: {}, source },
      ];
    }),
  );
}

/** The counts of one table of a populate. */
export function countsOf(result: PopulateResult, table: AnyTable): Readonly<Record<string, unknown>> {
  if (result.status === 'refused') throw new Error(JSON.stringify(result.findings));
  const { table: _name, ...counts } = result.tables.find((each) => each.table === table.spec.name) ?? {
    table: '',
  };
  return counts;
}
