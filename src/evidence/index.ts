export { CHANGE_CLASSES, KIND_WORDS, SAFETY_STRATEGIES } from './declaration-schema.ts';
export {
  APPROVAL_TYPE,
  approvalFaults,
  invalidApproval,
  isKeyValid,
  publicKeys,
  type Approval,
  type ApprovedException,
  type Grant,
  type KeyRegister,
  type RegisteredKey,
  type WantedApproval,
} from './approval.ts';
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
export {
  fromBase64,
  keyIdOf,
  openEnvelope,
  sealEnvelope,
  toBase64,
  type CheckSignature,
  type Envelope,
  type EnvelopeFault,
  type OpenedEnvelope,
  type Signer,
} from './dsse.ts';
export { manifestDigest, manifestEntry, type ManifestEntry } from './manifest.ts';
export { buildReceipt, validationStatus } from './receipt.ts';
export type { Artifact, Check, EqualityProof, Outcome, Receipt, ReceiptBody, ReceiptEnd } from './receipt.ts';
export { redactJson, scanFindings, scanText } from './scan/index.ts';
export type { RestrictedArea, ScanAbout, ScanHit } from './scan/index.ts';
export { SCHEMAS, type SchemaName } from './schema.ts';
export { validateSchema, type SchemaFault } from './validate.ts';
export { checkReceipt, isProduct, storePath, verifyAll, verifyReceipt } from './verify.ts';
export type { FileReader, Verification, VerifiedReceipt } from './verify.ts';
