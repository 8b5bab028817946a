export type { Baseline, BaselineTable, TableCounts } from './baseline.ts';
export {
  chainLine,
  EMPTY_CHAIN,
  readChain,
  type ChainHead,
  type ChainLine,
  type ChainReading,
} from './chain.ts';
export { diffBaselines, proveEqual } from './diff.ts';
export type { DerivedDiff, DiffSummary, LimitVerdict, TableDiff } from './diff.ts';
export { canonicalBytes, digestOf, isDigest, sha256, type Digest } from './digest.ts';
export { manifestDigest, manifestEntry, type ManifestEntry } from './manifest.ts';
export { buildReceipt, validationStatus } from './receipt.ts';
export type { Artifact, Check, EqualityProof, Outcome, Receipt, ReceiptBody, ReceiptEnd } from './receipt.ts';
export { SCHEMAS, type SchemaName } from './schema.ts';
export { validateSchema, type SchemaFault } from './validate.ts';
export { checkReceipt, PRODUCT_PATHS, storePath, verifyAll, verifyReceipt } from './verify.ts';
export type { FileReader, Verification, VerifiedReceipt } from './verify.ts';
