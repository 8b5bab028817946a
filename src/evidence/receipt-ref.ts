import type { JsonObject } from '../base/index.ts';
import { canonicalBytes, sha256, type Digest } from './digest.ts';
import type { Receipt } from './receipt.ts';
import { storePath } from './store-path.ts';

/**
 * `receipts/receipt_ref.json`: where a receipt is, for those who must not or need not have it in their repository (M44).
 * It follows from the receipt and its envelope's digest.
 */
export interface ReceiptReference extends JsonObject {
  readonly ref_version: 'v1';
  readonly run_id: string;
  readonly migration_id: string;
  readonly digest: Digest;
  readonly size: number;
  readonly media_type: 'application/json';
  /** Relative to the folder `migrations`: no credentials, no query. */
  readonly uri: string;
  readonly store: { readonly kind: 'folder'; readonly retention_until: string | null };
  /** Null where the receipt is not signed. */
  readonly envelope_digest: Digest | null;
}

/** The reference to a receipt. */
export function receiptReference(receipt: Receipt, envelopeDigest: Digest | null): ReceiptReference {
  const bytes = canonicalBytes(receipt);
  const digest = sha256(bytes);
  return {
    ref_version: 'v1',
    run_id: receipt.run_id,
    migration_id: receipt.migration_id,
    digest,
    size: bytes.byteLength,
    media_type: 'application/json',
    uri: storePath(digest),
    store: { kind: 'folder', retention_until: receipt.retention_until ?? null },
    envelope_digest: envelopeDigest,
  };
}
