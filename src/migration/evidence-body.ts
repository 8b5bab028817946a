import type { Finding, JsonObject } from '../base/index.ts';
import {
  canonicalBytes,
  diffBaselines,
  sha256,
  validationStatus,
  type Artifact,
  type Baseline,
  type DiffSummary,
  type EqualityProof,
  type LimitVerdict,
  type Outcome,
  type ReceiptBody,
  type TableCounts,
} from '../evidence/index.ts';
import { NOTHING_ENFORCED, type Enforcement, type NewWrites, type Touched } from './kind.ts';
import { finishedAt, PLAN_PATHS, type DecidedBody, type Product, type Run, type RunEnd } from './run.ts';

/** What a run leaves behind, as it is known in the transaction that decides it. */
export interface Ending extends RunEnd {
  readonly outcome: Outcome;
  readonly pre: Baseline | undefined;
  readonly post: Baseline | undefined;
  readonly witnessed: Witnessed;
  readonly verdicts: readonly LimitVerdict[];
  readonly proof: EqualityProof | undefined;
}

/** What was seen of a run's effect, and by whom. */
export interface Witnessed {
  readonly layers: readonly string[];
  readonly objects: readonly string[];
  readonly tables: readonly TableCounts[];
  /** What was in force; nothing where a run ended before anybody looked. */
  readonly enforcement: Enforcement;
  readonly touched: readonly Touched[];
  /** What others wrote meanwhile. */
  readonly newWrites: readonly NewWrites[];
}

/** What nobody had to witness: a run that changed nothing. */
export const NOTHING_WITNESSED: Witnessed = {
  layers: [],
  objects: [],
  tables: [],
  enforcement: NOTHING_ENFORCED,
  touched: [],
  newWrites: [],
};

/**
 * The body of the deciding ledger entry: the receipt but for its end, and every product, so that both can be written
 * again when the runner's disk is lost (M62).
 */
export function decidedBody(run: Run, ending: Ending): DecidedBody {
  const products = productsOf(run, ending);
  const outputs = Object.entries(products)
    .filter(([path]) => path !== PLAN_PATHS[run.subject.direction])
    .map(([path, product]) => artifact(path, product));
  const { newWrites, objects } = ending.witnessed;
  return {
    receipt: receiptBody(run, ending, outputs),
    products,
    bound: run.opened.plan.bound.work,
    objects,
    ...(run.subject.direction !== 'forward' || newWrites.length === 0 ? {} : { new_writes: newWrites }),
  };
}

function productsOf(run: Run, ending: Ending): DecidedBody['products'] {
  const { pre, post } = ending;
  return {
    ...(run.subject.direction === 'forward' ? {} : { [PLAN_PATHS[run.subject.direction]]: run.opened.plan }),
    ...(pre === undefined ? {} : { 'baselines/pre.json': pre }),
    ...(post === undefined ? {} : { 'baselines/post.json': post }),
    ...(pre === undefined || post === undefined
      ? {}
      : {
          'diffs/summary.json': summaryOf(run, ending, pre, post),
          'diffs/touched.csv': touchedText(ending.witnessed.touched),
        }),
  };
}

function summaryOf(run: Run, ending: Ending, pre: Baseline, post: Baseline): DiffSummary {
  const { scope, limits } = run.bundle.declaration;
  const { layers, objects, tables } = ending.witnessed;
  return {
    diff_version: 'v1',
    declared: { scope, limits },
    derived: diffBaselines(pre, post),
    witnessed: { layers, objects, tables },
    verdicts: ending.verdicts,
  };
}

function artifact(path: string, product: Product): Artifact {
  return { path, digest: sha256(productBytes(product)) };
}

/** The bytes of a product as it lies on disk. It is stored, digested and shown: they are made once, for nobody changes it. */
export function productBytes(product: Product): Uint8Array {
  if (typeof product === 'string') return new TextEncoder().encode(product);
  const bytes = bytesByProduct.get(product) ?? canonicalBytes(product);
  bytesByProduct.set(product, bytes);
  return bytes;
}

const bytesByProduct = new WeakMap<JsonObject, Uint8Array>();

/** `diffs/touched.csv`: `kind,schema,name,change,rows`, sorted, names of objects only (M35). */
function touchedText(touched: readonly Touched[]): string {
  const lines = touched.map(({ kind, schema, name, change, rows }) =>
    [kind, schema, name, change, rows === null ? '' : String(rows)].map(csvField).join(','),
  );
  return ['kind,schema,name,change,rows', ...lines.toSorted()].map((line) => `${line}\n`).join('');
}

function csvField(text: string): string {
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function receiptBody(run: Run, ending: Ending, outputs: readonly Artifact[]): ReceiptBody {
  const { subject, opened } = run;
  return {
    run_receipt_version: 'v1',
    run_id: subject.runId,
    run_type: 'migration',
    direction: subject.direction,
    migration_id: subject.migrationId,
    outcome: ending.outcome,
    actor: opened.actor,
    started_at: opened.started_at,
    finished_at: finishedAt(run),
    environment: {
      name: subject.environment,
      git_commit: opened.git_commit,
      params_digest: opened.params_digest,
      host: opened.host,
    },
    inputs: opened.inputs,
    outputs,
    bundle_digest: subject.bundleDigest,
    plan_digest: subject.planDigest,
    approvals: opened.approvals,
    enforcement: ending.witnessed.enforcement,
    validation: {
      status: validationStatus(ending.outcome, ending.checks),
      checks: ending.checks,
      findings: ending.findings.map(findingJson),
    },
    rollback: { class: opened.plan.bound.rollback_class, rung: opened.rung ?? null },
    ...(opened.policy === undefined ? {} : { policy: opened.policy }),
    ...(opened.rolls_back === null ? {} : { rolls_back: opened.rolls_back }),
    ...(ending.proof === undefined ? {} : { proof: ending.proof }),
  };
}

/** A finding as a member of an artifact. */
export function findingJson({ code, severity, subject, detail, hint }: Finding): Finding & JsonObject {
  return { code, severity, subject, detail, hint };
}
