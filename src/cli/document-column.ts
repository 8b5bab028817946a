/** Documents in a column of the project's store. */
import type { SqlStore } from '../document/edge/index.ts';
import type { ColumnSource, Reach } from '../migration/kind/document/index.ts';
import { sql, sumDigest, sumRows } from '../store/index.ts';
import { sqlSessionOf, sqlStoreOf } from './document-store.ts';
import { boundOf, tableDocuments, tableOptions, type Opened, type Opening } from './document-work.ts';

/** Opens them. */
export async function openColumn(opening: Opening, source: ColumnSource): Promise<Opened> {
  const { postgresTable, tableWork } = await import('../document/edge/index.ts');
  const [schema = '', table = ''] = source.table.split('.');
  const opened = await postgresTable(storeOf(opening.reach), { schema, table, column: source.column });
  if (opened.status === 'refused') return opened;
  const column = opened.value;
  const work = tableWork(opening.model, column, tableOptions(opening));
  return {
    status: 'ok',
    documents: {
      ...tableDocuments(column, work),
      bound: boundOf(opening, work.typeDigest, { column: column.shape }),
      readDigest: async (transaction) => {
        const { query, columns } = column.readBy(work.run);
        return sumDigest(await sumRows(transaction, { from: sql.raw(`(${query})`), columns }));
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  };
}

/** What is done in an open transaction stays in it; a run of its own writes in transactions that are fenced. */
function storeOf(reach: Reach): SqlStore {
  if (reach.transaction === undefined) return sqlStoreOf(reach.context.store, reach.context.fence);
  const session = sqlSessionOf(reach.transaction);
  return {
    location: '',
    transaction: (_begin, work) => work(session),
    tryLock: () => Promise.resolve(undefined),
    isBadValue: () => false,
  };
}
