import { isVarveError, type Finding } from '../../src/base/index.ts';
import { runStatement } from '../../src/migration/kind/postgis/run-statement.ts';
import { sha256 } from '../../src/evidence/index.ts';
import { sql } from '../../src/store/index.ts';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';
import type { StoreUnderTest } from '../harness/index.ts';

/** What came of one statement that no parser has looked at. */
export type Attempted = { readonly findings: readonly Finding[] } | { readonly code: string };

/** Sends a text as a statement of a run, in a store of its own, since what escapes costs the connection. */
export async function attemptStatement(
  given: StoreUnderTest,
  schema: string,
  text: string,
): Promise<Attempted> {
  await using store =
    given.name === 'embedded'
      ? await embeddedStore({ folder: undefined })
      : await postgresStore({ url: given.url(), poolSize: 1 });
  try {
    return await store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      const [row] = await transaction.query<{ id: string }>(
        sql`select pg_current_xact_id()::text as id, ${schema} as schema`,
      );
      const statement = {
        file: 'forward.sql',
        ordinal: 1,
        text,
        digest: sha256(new TextEncoder().encode(text)),
        kind: 'unknown',
        node: { type: 'unknown', fields: {} },
        place: { line: 1, column: 1 },
        placeOf: (offset: number) => ({ line: 1, column: offset + 1 }),
      };
      const findings = await runStatement(transaction, statement, {
        transactionId: row?.id ?? '',
        statementCount: 1,
      });
      if (findings.length > 0) throw new Found(findings);
      return { findings };
    });
  } catch (error) {
    if (error instanceof Found) return { findings: error.findings };
    if (isVarveError(error)) return { code: error.code };
    throw error;
  }
}

class Found extends Error {
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[]) {
    super('found');
    this.findings = findings;
  }
}
