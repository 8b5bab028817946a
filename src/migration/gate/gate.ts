/**
 * The six gates that block merge and run (M56), as a list of functions of one shape, in their order. Each says what it found;
 * one that could not run blocks, and there is nothing that turns one off (M55).
 *
 * | gate | looks at |
 * |---|---|
 * | `declaration_schema` | the declaration, its files, its notes, the registry, the order, what was merged |
 * | `secret_scan` | every authored file and every product |
 * | `scope_and_limits` | `diffs/summary.json` of the latest run; before any run `plan.json` |
 * | `invariants` | that the latest run asked every declared invariant, and each held |
 * | `rollback_posture` | that the way back does something, parses, and stays in the bundle (R1, R2) |
 * | `receipt_schema` | the receipt, with everything that it names |
 */
import { isRefused, refusal, type Clock, type Finding } from '../../base/index.ts';
import { isProduct, type DiffSummary, type Receipt } from '../../evidence/index.ts';
import { join } from 'node:path';
import type { Bundle } from '../bundle.ts';
import { checkBundles, findingInProject, type CheckedBundle } from '../check-bundles.ts';
import { readIfThere } from '../evidence-store.ts';
import { holdToApprovals } from '../exception.ts';
import { folderReader } from '../file-reader.ts';
import { readApprovals } from '../find-approvals.ts';
import { limitFindings, scopeFindings } from '../judge.ts';
import { wayBackScopeFindings } from '../kind/postgis/text-scope.ts';
import { parseMigrationId } from '../migration-id.ts';
import { policyFindings } from '../policy/index.ts';
import { readPlanFile, type PlanFile } from '../plan-file.ts';
import { readEnvironmentStatuses } from '../registry-status.ts';
import { verifyReceipts } from '../receipts.ts';
import { scanBundle } from '../scan-authored.ts';
import { scanProduct } from '../scan-files.ts';
import type { EnvironmentName, MigrationSettings } from '../settings.ts';
import { parseStrictJson } from '../strict-json.ts';
import { scriptEffect } from './effective-statement.ts';

/** The names of the gates, in their order. */
export const GATES = [
  'declaration_schema',
  'secret_scan',
  'scope_and_limits',
  'invariants',
  'rollback_posture',
  'receipt_schema',
] as const;

/** The name of a gate. */
export type GateName = (typeof GATES)[number];

/** What one gate has to say of one bundle. */
export interface GateResult {
  readonly gate: GateName;
  /** `nothing_yet`: what it looks at only comes with the first run, and there was none. */
  readonly status: 'pass' | 'fail' | 'not_run' | 'nothing_yet';
  readonly findings: readonly Finding[];
}

/** All gates of one bundle. */
export interface GatedBundle {
  readonly id: string;
  readonly gates: readonly GateResult[];
}

/** What a gating needs from outside. */
export interface GateOptions {
  /** Absolute path of the project's folder `migrations`. */
  readonly root: string;
  readonly settings: MigrationSettings;
  /** Whose approvals count for findings that want a review. */
  readonly environment: EnvironmentName;
  readonly clock: Clock;
  /** The revision to compare with. */
  readonly base?: string;
}

/** The result of all gates over the bundles asked for, or over all. */
export interface GateReport {
  readonly bundles: readonly GatedBundle[];
  /** What is wrong between bundles; it blocks as well. */
  readonly findings: readonly Finding[];
}

/** What a gate looks at. */
interface Scene {
  readonly options: GateOptions;
  readonly bundle: Bundle;
  readonly checked: CheckedBundle;
  readonly plan: PlanFile | undefined;
  readonly summary: DiffSummary | undefined;
  readonly receipt: Receipt | undefined;
  /** Whether there is a receipt, readable or not, or a ledger file names a run: then what a run leaves has to be there. */
  readonly hasRun: boolean;
}

type Verdict = readonly Finding[] | 'nothing_yet' | { readonly notRun: Finding };

/** Runs the gates. Errors: refuses inside its findings; throws only for files that cannot be read. */
export async function runGates(options: GateOptions, ids: readonly string[] = []): Promise<GateReport> {
  const { bundles, findings } = await checkBundles(options.root, options.settings, options.base);
  const asked = ids.length === 0 ? bundles : bundles.filter(({ id }) => ids.includes(id));
  const missing = ids.filter((id) => !bundles.some((each) => each.id === id));
  const hint = 'Look at the folders under migrations/.';
  return {
    bundles: await Promise.all(asked.map((checked) => gateBundle(options, checked))),
    findings: [
      ...missing.map((id) => refusal('bundle_missing', id, { hint })),
      ...findings,
      ...(await policyFindings(options.root, options.settings)),
    ],
  };
}

/** Whether a report lets a merge or a run through. */
export function isBlocked({ bundles, findings }: GateReport): boolean {
  const held = bundles.flatMap(({ gates }) => gates);
  return isRefused(findings) || held.some(({ status }) => status === 'fail' || status === 'not_run');
}

async function gateBundle(options: GateOptions, checked: CheckedBundle): Promise<GatedBundle> {
  const { id, bundle } = checked;
  if (bundle === undefined) {
    const [first, ...rest] = GATES;
    const gates: readonly GateResult[] = [
      { gate: first, status: 'fail', findings: checked.findings.map((each) => findingInProject(id, each)) },
      ...rest.map((gate) => notRun(gate, id, 'the declaration or its files cannot be used')),
    ];
    return { id, gates };
  }
  const statuses = await readEnvironmentStatuses(options.root);
  const products = await productsOf(bundle);
  const hasRun = products.hasReceipt || statuses.has(id);
  const scene: Scene = { options, bundle, checked, ...products, hasRun };
  const gates: GateResult[] = [];
  for (const gate of GATES) gates.push(await gateSafely(gate, scene));
  return { id, gates };
}

async function gateSafely(gate: GateName, scene: Scene): Promise<GateResult> {
  const { id } = scene.bundle;
  let verdict: Verdict;
  try {
    verdict = await VERDICTS[gate](scene);
  } catch (error) {
    return notRun(gate, id, error instanceof Error ? error.name : 'unknown');
  }
  if (verdict === 'nothing_yet') return { gate, status: 'nothing_yet', findings: [] };
  if ('notRun' in verdict)
    return { gate, status: 'not_run', findings: [findingInProject(id, verdict.notRun)] };
  const held = holdToApprovals(verdict, await approvalsOf(scene));
  const findings = held.map((finding) => findingInProject(id, finding));
  return { gate, status: isRefused(findings) ? 'fail' : 'pass', findings };
}

async function approvalsOf({ options, bundle, plan }: Scene): Promise<Parameters<typeof holdToApprovals>[1]> {
  if (plan === undefined) return [];
  const reading = await readApprovals(options, bundle, { planDigest: plan.plan_digest, grant: 'apply' });
  return reading.status === 'ok' ? reading.approvals : [];
}

function notRun(gate: GateName, id: string, reason: string): GateResult {
  const hint = 'Mend what kept it from running: a gate that did not run is not a pass.';
  return {
    gate,
    status: 'not_run',
    findings: [findingInProject(id, refusal('gate_not_run', id, { detail: { gate, reason }, hint }))],
  };
}

const VERDICTS: Readonly<Record<GateName, (scene: Scene) => Verdict | Promise<Verdict>>> = {
  declaration_schema: ({ checked }) => checked.findings,
  secret_scan: scanAll,
  scope_and_limits: judgeProducts,
  invariants: judgeInvariants,
  rollback_posture: judgeWayBack,
  receipt_schema: judgeReceipt,
};

async function scanAll({ bundle, options }: Scene): Promise<Verdict> {
  const findings = [...(await scanBundle(bundle, options.settings))];
  for (const path of await folderReader(bundle.folder).list('')) {
    if (!isProduct(path)) continue;
    const bytes = (await readIfThere(join(bundle.folder, path))) ?? new Uint8Array();
    findings.push(...(await scanProduct(path, new TextDecoder().decode(bytes))));
  }
  return findings;
}

/** The latest run's own verdicts, judged again by the declaration that there is now; before any run the plan's. */
function judgeProducts({ bundle, plan, summary, receipt, hasRun }: Scene): Verdict {
  const { scope, limits } = bundle.declaration;
  if (summary !== undefined && receipt !== undefined) {
    const verdicts = summary.verdicts.map((each) => ({
      ...each,
      status: each.observed <= (limits[each.limit] ?? 0) ? ('pass' as const) : ('fail' as const),
    }));
    return [
      ...scopeFindings(scope, summary.witnessed.objects),
      ...limitFindings(bundle.id, verdicts),
      ...changed(bundle, receipt.bundle_digest, receipt.run_id),
    ];
  }
  if (hasRun || plan === undefined) {
    const hint = !hasRun
      ? `Run \`varve plan ${bundle.id}\`: it says what would be touched.`
      : 'Bring diffs/summary.json back from the evidence store: `varve recover` writes it.';
    const detail = { gate: 'scope_and_limits', reason: hasRun ? 'no_summary' : 'no_plan' };
    return { notRun: refusal('gate_not_run', bundle.id, { detail, hint }) };
  }
  return [...scopeFindings(scope, plan.bound.objects), ...changed(bundle, plan.bundle_digest, 'plan.json')];
}

/** A product that speaks of other authored files than lie there says nothing about these. */
function changed(bundle: Bundle, digest: string, by: string): readonly Finding[] {
  if (digest === bundle.digest) return [];
  const hint = 'Take the authored files back, or plan and run this bundle again where it was never merged.';
  return [refusal('bundle_changed', bundle.id, { detail: { by, of: digest, found: bundle.digest }, hint })];
}

function judgeInvariants({ bundle, receipt, hasRun }: Scene): Verdict {
  const { invariants = [] } = bundle.declaration;
  if (!hasRun) return invariants.length === 0 ? [] : 'nothing_yet';
  const statusByName = new Map((receipt?.validation.checks ?? []).map(({ name, status }) => [name, status]));
  return invariants.flatMap(({ name }) => {
    const status = statusByName.get(`invariant: ${name}`) ?? 'not_run';
    if (status === 'pass') return [];
    const hint = 'Run it again, and look at the query of this invariant.';
    return [refusal('gate_not_run', name, { detail: { gate: 'invariants', status }, hint })];
  });
}

/** The two rungs that need no database: the way back has a statement with an effect, its language takes it, and it stays in scope (M105). */
async function judgeWayBack({ bundle }: Scene): Promise<Verdict> {
  const { artifacts, requires_rollback: isRequired } = bundle.declaration;
  const findings: Finding[] = [];
  let hasEffect = false;
  for (const path of artifacts.rollback) {
    const bytes = bundle.files.find((file) => file.path === path)?.bytes ?? new Uint8Array();
    const effect = await effectOf(path, new TextDecoder().decode(bytes));
    if (effect === 'effective') hasEffect = true;
    if (effect === 'no_sql') {
      const hint = 'Correct it: the parser of PostgreSQL does not take it.';
      findings.push(refusal('sql_invalid', path, { detail: { rung: 'R2' }, hint }));
    }
  }
  if (isRequired && !hasEffect && findings.length === 0) {
    const hint = 'Write what takes the change back: comments and a bare select take nothing back.';
    findings.push(refusal('rollback_missing', bundle.id, { detail: { rung: 'R1' }, hint }));
  }
  if (bundle.kind !== 'postgis' || findings.length > 0) return findings;
  return wayBackScopeFindings(bundle);
}

async function effectOf(path: string, text: string): Promise<'effective' | 'without_effect' | 'no_sql'> {
  if (path.endsWith('.sql')) return scriptEffect(text);
  if (!path.endsWith('.json')) return text.trim() === '' ? 'without_effect' : 'effective';
  const parsed = parseStrictJson(text);
  const isEmpty = 'reason' in parsed || Object.keys((parsed.value ?? {}) as object).length === 0;
  return isEmpty ? 'without_effect' : 'effective';
}

async function judgeReceipt({ options, bundle, hasRun }: Scene): Promise<Verdict> {
  if (!hasRun) return 'nothing_yet';
  const path = join(options.root, parseMigrationId(bundle.id)?.kind ?? '', bundle.id);
  const { findings } = await verifyReceipts(join(path, 'receipts/run_receipt.json'));
  return findings;
}

async function productsOf(
  bundle: Bundle,
): Promise<Pick<Scene, 'plan' | 'summary' | 'receipt'> & { readonly hasReceipt: boolean }> {
  return {
    plan: await readPlanFile(bundle),
    summary: (await readProduct(bundle, 'diffs/summary.json')) as DiffSummary | undefined,
    hasReceipt: (await readIfThere(join(bundle.folder, 'receipts/run_receipt.json'))) !== undefined,
    receipt: (await readProduct(bundle, 'receipts/run_receipt.json')) as Receipt | undefined,
  };
}

/** A product as JSON; what is wrong with it, the gate of receipts says. */
async function readProduct({ folder }: Bundle, path: string): Promise<unknown> {
  const bytes = await readIfThere(join(folder, path));
  if (bytes === undefined) return undefined;
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  return 'reason' in parsed ? undefined : parsed.value;
}
