/**
 * Kysely over one way to run a statement. Kysely types and compiles; everything else is varve's.
 *
 * Kysely is loaded at the first call: it costs 110 ms, which a command that computes nothing should not pay.
 */
import type { CompiledQuery, DatabaseConnection, Kysely, QueryResult } from 'kysely';
import { VarveError } from '../../base/index.ts';
import type { Row } from '../../store/index.ts';

/** Runs a statement with `$n` placeholders. */
export type RunStatement = (text: string, parameters: readonly unknown[]) => Promise<readonly Row[]>;

/** Makes handles: one for each way to run. */
export type CreateKysely = (run: RunStatement) => Kysely<Record<string, never>>;

let loading: Promise<CreateKysely> | undefined;

/** Kysely, loaded. */
export function loadKysely(): Promise<CreateKysely> {
  loading ??= (async () => {
    const { Kysely, PostgresAdapter, PostgresQueryCompiler } = await import('kysely');
    return (run) =>
      new Kysely({
        dialect: {
          createAdapter: () => new PostgresAdapter(),
          createQueryCompiler: () => new PostgresQueryCompiler(),
          createIntrospector: () => {
            throw unsupported('introspection');
          },
          createDriver: () => ({
            init: nothing,
            acquireConnection: () => Promise.resolve(connectionOf(run)),
            beginTransaction: () => Promise.reject(unsupported('a transaction')),
            commitTransaction: nothing,
            rollbackTransaction: nothing,
            releaseConnection: nothing,
            destroy: nothing,
          }),
        },
      });
  })();
  return loading;
}

function connectionOf(run: RunStatement): DatabaseConnection {
  return {
    executeQuery: async <R>(query: CompiledQuery): Promise<QueryResult<R>> => ({
      // The caller's types say what its statement returns; Kysely checked them against the declared reads.
      rows: (await run(query.sql, query.parameters)) as unknown as R[],
    }),
    streamQuery: () => {
      throw unsupported('streaming');
    },
  };
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

function unsupported(found: string): VarveError {
  return new VarveError('statement_refused', {
    detail: { kind: 'statement', found },
    hint: 'Run plain statements with `.execute()`: a make already runs in its own transaction.',
  });
}
