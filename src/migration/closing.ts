/**
 * What closes a run: its receipt, and the envelope over it where a key signed. The closing ledger entry has the envelope as
 * its body, so that its `body_digest` is the envelope's digest (M120) and the database alone gives both back; without a
 * signature its body is the receipt.
 */
import { VarveError, type JsonObject } from '../base/index.ts';
import {
  digestOf,
  enclosedReceipt,
  isEnvelope,
  provDocument,
  receiptReference,
  receiptStatement,
  sealEnvelope,
  STATEMENT_TYPE,
  type Digest,
  type Envelope,
  type Receipt,
  type Signer,
} from '../evidence/index.ts';
import type { Queryable } from '../store/index.ts';
import { readBody } from './ledger.ts';
import type { EnvironmentName, MigrationSettings } from './settings.ts';

/** A receipt, with its envelope where it was signed. */
export interface Closing {
  readonly receipt: Receipt;
  readonly envelope: Envelope | undefined;
}

/** What closed a run; undefined while nothing did. */
export async function readClosing(queryable: Queryable, runId: string): Promise<Closing | undefined> {
  const body = await readBody(queryable, runId, 'closed');
  if (body === undefined) return undefined;
  if (!isEnvelope(body)) return { receipt: body as unknown as Receipt, envelope: undefined };
  const receipt = enclosedReceipt(body);
  if (receipt !== undefined) return { receipt, envelope: body };
  throw new VarveError('evidence_changed', {
    detail: { run: runId },
    hint: 'The ledger row of this run holds no receipt: restore the database.',
  });
}

/** Signs a receipt, where there is a key. */
export async function closeReceipt(receipt: Receipt, signer: Signer | undefined): Promise<Closing> {
  if (signer === undefined || receipt.signed_by !== signer.keyId) return { receipt, envelope: undefined };
  return { receipt, envelope: await sealEnvelope(STATEMENT_TYPE, receiptStatement(receipt), signer) };
}

/** The body of the closing ledger entry. */
export function closingBody({ receipt, envelope }: Closing): JsonObject {
  return envelope ?? receipt;
}

/** The files that go into `receipts/`, all of them; which of these a bundle shows is another matter. */
export function closingFiles({ receipt, envelope }: Closing): Readonly<Record<string, JsonObject>> {
  return {
    [RECEIPT_PATH]: receipt,
    ...(envelope === undefined ? {} : { [ENVELOPE_PATH]: envelope }),
    [PROV_PATH]: provDocument(receipt),
    [REFERENCE_PATH]: receiptReference(receipt, envelopeDigest(envelope)),
  };
}

/** The digest of an envelope; null where there is none. */
export function envelopeDigest(envelope: Envelope | undefined): Digest | null {
  return envelope === undefined ? null : digestOf(envelope);
}

export const RECEIPT_PATH = 'receipts/run_receipt.json';
export const ENVELOPE_PATH = 'receipts/run_receipt.dsse.json';
const PROV_PATH = 'receipts/prov.jsonld';
export const REFERENCE_PATH = 'receipts/receipt_ref.json';

/** Whether the bundle shows a reference in place of the receipt and its envelope (M44). */
export function isByReference(settings: MigrationSettings, environment: EnvironmentName): boolean {
  return (settings.receiptsByReference ?? ['prod']).includes(environment);
}
