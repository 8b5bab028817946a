export type { Baseline, BaselineTable, TableCounts } from './baseline.ts';
export {
  chainLine,
  EMPTY_CHAIN,
  readChain,
  type ChainHead,
  type ChainLine,
  type ChainReading,
} from './chain.ts';
export { canonicalBytes, digestOf, isDigest, sha256, type Digest } from './digest.ts';
export { manifestDigest, manifestEntry, type ManifestEntry } from './manifest.ts';
export { buildReceipt, validationStatus } from './receipt.ts';
export type { Artifact, Check, EqualityProof, Outcome, Receipt, ReceiptBody, ReceiptEnd } from './receipt.ts';
