/** Nothing that must not be kept is written: what a run makes is scanned first (M42, M124, M125). */
import { isRefused, refusal, VarveError, type Finding, type JsonObject } from '../base/index.ts';
import { redactJson, scanFindings, scanText, type Digest, type ReceiptBody } from '../evidence/index.ts';
import { findingJson, productBytes } from './evidence-body.ts';
import { storeEvidence } from './evidence-store.ts';
import type { DecidedBody, Product } from './run.ts';

/** What a product holds that it must not. */
export async function scanProduct(path: string, product: Product): Promise<readonly Finding[]> {
  const text = new TextDecoder().decode(productBytes(product));
  return scanFindings(path, await scanText(text, { path, origin: 'product' }));
}

/** Keeps a product in the evidence store, once it was scanned. Errors: throws what the scan finds. */
export async function storeScanned(root: string, path: string, product: Product): Promise<Digest> {
  const [finding] = await scanProduct(path, product);
  if (finding !== undefined) throw found(finding);
  return storeEvidence(root, productBytes(product));
}

/**
 * The body of a run that is about to be committed. What its findings quote is withheld where it must not be kept.
 *
 * Errors: throws `secret_found` or `position_found` where a product holds one, so that the run is aborted.
 */
export async function cleanBody(body: DecidedBody): Promise<DecidedBody> {
  const { dirty, receipt } = await lookThrough(body);
  const [finding] = [...dirty.values()].flat();
  if (finding !== undefined) throw found(finding);
  return { ...body, receipt };
}

/** The body of a run that is undone, which nothing may hinder: the products that hold something are left out of it. */
export async function withoutDirty(body: DecidedBody): Promise<DecidedBody> {
  const { dirty, receipt } = await lookThrough(body);
  if (dirty.size === 0) return { ...body, receipt };
  const outputs = receipt.outputs.filter(({ path }) => !dirty.has(path));
  const findings = [...receipt.validation.findings, ...[...dirty.values()].flat().map(findingJson)];
  return {
    ...body,
    receipt: { ...receipt, outputs, validation: { ...receipt.validation, status: 'fail', findings } },
    products: Object.fromEntries(Object.entries(body.products).filter(([path]) => !dirty.has(path))),
  };
}

async function lookThrough(
  body: DecidedBody,
): Promise<{ readonly dirty: ReadonlyMap<string, readonly Finding[]>; readonly receipt: ReceiptBody }> {
  const dirty = new Map<string, readonly Finding[]>();
  for (const [path, product] of Object.entries(body.products)) {
    const findings = await scanProduct(path, product);
    if (isRefused(findings)) dirty.set(path, findings);
  }
  const receipt = body.receipt as unknown as ReceiptBody;
  const findings = await redactJson(receipt.validation.findings);
  return { dirty, receipt: { ...receipt, validation: { ...receipt.validation, findings } } };
}

function found({ code, subject, detail, hint }: Finding): VarveError {
  const where: JsonObject = { path: subject, ...detail };
  return new VarveError(code, { detail: where, hint });
}

/** The refusal of a plan that holds something: it is shown to nobody and not written. */
export function dirtyPlan(id: string, findings: readonly Finding[]): Finding {
  return refusal(findings[0]?.code ?? 'secret_found', id, {
    detail: { file: 'plan.json', hits: findings.length },
    hint: 'The definitions or authored files bring it in: take it out there, then plan again.',
  });
}
