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
export type {
  Baseline,
  BaselineClass,
  BaselineTable,
  ProtectedFingerprint,
  TableCounts,
} from './baseline.ts';
export {
  chainLine,
  EMPTY_CHAIN,
  readChain,
  type ChainHead,
  type ChainLine,
  type ChainReading,
} from './chain.ts';
export { diffBaselines, isComparable, proveEqual } from './diff.ts';
export {
  proveWayBack,
  splitDifference,
  tablesWithOtherRows,
  type WayBack,
  type WayBackProof,
} from './way-back.ts';
export { touchedCsv } from './touched.ts';
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
export {
  approvedDigest,
  earlierRuns,
  EDIT_HINTS,
  editFault,
  type EarlierRun,
  type EditFault,
} from './edit-fault.ts';
export { manifestDigest, manifestEntry, type ManifestEntry } from './manifest.ts';
export {
  diffFingerprints,
  diffObjects,
  type Difference,
  type FingerprintState,
  type ObjectState,
} from './object-diff.ts';
export { buildReceipt, policyDocuments, validationStatus } from './receipt.ts';
export type {
  Artifact,
  Check,
  DecidedPolicy,
  EqualityProof,
  Outcome,
  Receipt,
  ReceiptBody,
  ReceiptEnd,
  RehearsalReceipt,
} from './receipt.ts';
export { redactJson, scanFindings, scanText } from './scan/index.ts';
export type { RestrictedArea, ScanAbout, ScanHit } from './scan/index.ts';
export { SCHEMAS, type SchemaName } from './schema.ts';
export { validateSchema, type SchemaFault } from './validate.ts';
export {
  HEAD_TYPE,
  holdAgainstHead,
  ledgerHead,
  readHead,
  type HeadReading,
  type LedgerHead,
} from './ledger-head.ts';
export { consistencyProof, inclusionProof, isConsistent, isIncluded, merkleRoot } from './merkle.ts';
export { isProduct, REHEARSAL_ENVELOPE_PATH, REHEARSAL_PATH } from './product-path.ts';
export { REHEARSAL_PREDICATE, rehearsalStatement } from './rehearsal-statement.ts';
export { PROV_CONTEXT, provDocument, type ProvDocument } from './prov.ts';
export { receiptReference, type ReceiptReference } from './receipt-ref.ts';
export {
  enclosedReceipt,
  isEnvelope,
  RECEIPT_PREDICATE,
  receiptStatement,
  STATEMENT_TYPE,
  type Statement,
} from './statement.ts';
export { storePath } from './store-path.ts';
export { readReceiptValue } from './read-receipt.ts';
export type { VerifiedReceipt } from './verify/file.ts';
export type { FileReader, MergeState } from './verify/file.ts';
export { checkReceipt } from './verify/receipt.ts';
export { verifyAll, verifyReceipt, type Verification, type VerifyOptions } from './verify/verify.ts';
