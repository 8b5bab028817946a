/**
 * What a runner key signs: the receipt as the predicate of an in-toto Statement v1, whose subjects are the files that the
 * run left, in a DSSE envelope (M118). Any tool that reads such statements can tell which files belong to which run.
 *
 * The receipt and its provenance document are subjects as well, so that a run which wrote nothing has one, too.
 * Source: in-toto attestation framework, "Statement v1".
 */
import type { Json, JsonObject } from '../base/index.ts';
import { canonicalBytes, digestOf, sha256, type Digest } from './digest.ts';
import { fromBase64, type Envelope } from './dsse.ts';
import { provDocument } from './prov.ts';
import type { Receipt } from './receipt.ts';

/** The type of a receipt's envelope. */
export const STATEMENT_TYPE = 'application/vnd.in-toto+json';

/** Says what the predicate is. */
export const RECEIPT_PREDICATE = 'varve:schema/run_receipt.v1.schema.json';

/** A statement about files. */
export interface Statement extends JsonObject {
  readonly _type: 'https://in-toto.io/Statement/v1';
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: Receipt;
}

/** The statement of a receipt: it follows from the receipt alone. */
export function receiptStatement(receipt: Receipt): Statement {
  const files: readonly (readonly [string, Digest])[] = [
    ...receipt.outputs.map(({ path, digest }) => [path, digest] as const),
    ['receipts/prov.jsonld', digestOf(provDocument(receipt))],
    ['receipts/run_receipt.json', sha256(canonicalBytes(receipt))],
  ];
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map(([name, digest]) => ({ name, digest: { sha256: digest.slice('sha256:'.length) } })),
    predicateType: RECEIPT_PREDICATE,
    predicate: receipt,
  };
}

/** The receipt inside an envelope of our own making. Nothing is checked: what a stranger hands in goes through `openEnvelope`. */
export function enclosedReceipt({ payload }: Envelope): Receipt | undefined {
  const bytes = fromBase64(payload);
  const statement = bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as Json);
  return isStatement(statement) ? statement.predicate : undefined;
}

/** Whether a document is an envelope, by its shape alone. */
export function isEnvelope(value: JsonObject): value is Envelope {
  return 'payloadType' in value && 'payload' in value && 'signatures' in value;
}

function isStatement(value: Json | undefined): value is Statement {
  return (
    typeof value === 'object' &&
    value !== null &&
    'predicate' in value &&
    (value as Statement).predicateType === RECEIPT_PREDICATE
  );
}
