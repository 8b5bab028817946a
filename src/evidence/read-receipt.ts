import type { JsonObject } from '../base/index.ts';
import type { Receipt } from './receipt.ts';

/**
 * A receipt as read: varve's own as it is, one with the names of other tools under the names of ours (M39). Members that
 * nobody here knows are kept, and what does not say how it was enforced was not.
 */
export function readReceiptValue(value: JsonObject): Receipt {
  const { kfm_run_receipt_version: foreign, ...rest } = value;
  const named =
    foreign === undefined || 'run_receipt_version' in rest
      ? value
      : { ...rest, run_receipt_version: foreign };
  const enforcement =
    'enforcement' in named ? {} : { enforcement: { level: 'none', layers: [], role: 'none' } };
  return { ...named, ...enforcement } as unknown as Receipt;
}
