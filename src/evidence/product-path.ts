/** Where a bundle shows the receipt of its latest rehearsal, and its envelope. */
export const REHEARSAL_PATH = 'receipts/rehearsal_receipt.json';
export const REHEARSAL_ENVELOPE_PATH = 'receipts/rehearsal_receipt.dsse.json';

/** Products of a run. */
const PRODUCT_PATHS: readonly string[] = [
  'plan.json',
  'rollback_plan.json',
  'retire_plan.json',
  'baselines/pre.json',
  'baselines/post.json',
  'diffs/summary.json',
  'diffs/touched.csv',
  REHEARSAL_ENVELOPE_PATH,
  REHEARSAL_PATH,
  'receipts/run_receipt.json',
  'receipts/run_receipt.dsse.json',
  'receipts/prov.jsonld',
  'receipts/receipt_ref.json',
];

/** Whether a file of a bundle is a product: written by varve, and no part of what is signed. */
export function isProduct(path: string): boolean {
  return PRODUCT_PATHS.includes(path) || /^approvals\/[^/]+\.dsse\.json$/u.test(path);
}
