export {
  isObjectDigest,
  isObjectReference,
  objectHex,
  readObject,
  type ObjectContent,
  type ObjectLocation,
  type ObjectReference,
  type ObjectSettings,
  type ObjectStore,
  type S3Location,
  type StoredObject,
} from './object-store.ts';
export { executeAll } from './execute-all.ts';
export { readPinned } from './pinned.ts';
export {
  keyedDigest,
  keyIdOfSecret,
  rowSumOf,
  sumDigest,
  sumRows,
  type Rows,
  type RowSum,
} from './row-digest.ts';
export {
  compileSql,
  quoteIdentifier,
  quoteLiteral,
  sql,
  type CompiledSql,
  type Sql,
  type SqlValue,
} from './sql.ts';
export { UNMERGED } from './unmerged.ts';
export {
  readScript,
  type Script,
  type ScriptFault,
  type ScriptStatement,
  type ScriptToken,
} from './sql-script.ts';
export {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  nodesBelow,
  stringConstant,
  textOf,
  type Node,
  type Tree,
} from './sql-tree.ts';
export { isStoreError, StoreError, type StoreErrorFields } from './store-error.ts';
export type {
  Capabilities,
  LogChange,
  LogReader,
  LogReaderOptions,
  Queryable,
  Row,
  Store,
  StoreLock,
  Transaction,
  TransactionOptions,
} from './store.ts';
export type { TextPlace } from './text-place.ts';
