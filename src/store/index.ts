export {
  compileSql,
  quoteIdentifier,
  quoteLiteral,
  sql,
  type CompiledSql,
  type Sql,
  type SqlValue,
} from './sql.ts';
export { isStoreError, StoreError, type StoreErrorFields } from './store-error.ts';
export type {
  Capabilities,
  Queryable,
  Row,
  Store,
  StoreLock,
  Transaction,
  TransactionOptions,
} from './store.ts';
