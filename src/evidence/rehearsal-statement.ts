/** What a runner key signs of a rehearsal: its receipt as the predicate of a statement about what was measured (M118). */
import { REHEARSAL_PATH } from './product-path.ts';
import { canonicalBytes, sha256 } from './digest.ts';
import type { RehearsalReceipt } from './receipt.ts';
import type { JsonObject } from '../base/index.ts';

/** Another one than that of a run's receipt, so that neither is ever taken for the other (M38). */
export const REHEARSAL_PREDICATE = 'varve:schema/rehearsal_receipt.v1.schema.json';

/** The statement of a rehearsal's receipt: it follows from the receipt alone. */
export function rehearsalStatement(receipt: RehearsalReceipt): JsonObject {
  const files = [...receipt.outputs, { path: REHEARSAL_PATH, digest: sha256(canonicalBytes(receipt)) }];
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: files.map(({ path, digest }) => ({
      name: path,
      digest: { sha256: digest.slice('sha256:'.length) },
    })),
    predicateType: REHEARSAL_PREDICATE,
    predicate: receipt,
  };
}
