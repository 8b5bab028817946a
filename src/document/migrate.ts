/**
 * One document to another version, in a fixed order (D6): detect, find the path, check the source, apply the steps in
 * sequence, check the result against the target's schema.
 *
 * Provenance and residue are taken out before the first step and put back after the last, so that steps see what people
 * wrote and nothing else.
 */
import { refusal, type Finding, type Json } from '../base/index.ts';
import { applyAliases } from './alias.ts';
import type { Assumed } from './assumed.ts';
import { planBetween, validatorOf, type CompiledPlan, type Model } from './model.ts';
import type { Migrated, Outcome } from './outcome.ts';
import { placesIn, settle } from './placing.ts';
import { takeProvenance, type Provenance } from './provenance.ts';
import { groupResidue, residueKey, type Residue, type ResidueRow } from './residue-row.ts';
import { takeResidue } from './residue.ts';
import { refused, type Refused } from './result.ts';
import { runStep, runSteps, type Ledger, type StepWorld } from './run-step.ts';
import { startWorld } from './step-world.ts';
import { unknownFields } from './unknown-field.ts';
import type { SchemaFault } from './validate.ts';
import { copyJson, holdsRawNumber } from './value.ts';
import { compareVersions, type Detected, type Version } from './version.ts';

/** What one call may say beside its document. */
export interface CallOptions {
  /** Whether an older document is migrated. Default: the type's policy. */
  readonly auto?: boolean;
  readonly newer?: 'refuse' | 'pass' | 'downgrade';
  /** The document may be taken as it is, without a copy; the caller lets go of it. */
  readonly own?: boolean;
  /** Whether a way down may lose something. */
  readonly allowLossy?: boolean;
  /** Whether raw numbers (`JSON.rawJSON`) may stand in the document. Default: they are looked for. */
  readonly mayHoldRaw?: boolean;
  /** What was kept beside the document. */
  readonly residue?: Residue;
  /** Where the document came from, when that is kept beside it. */
  readonly provenance?: Provenance;
  /** The time of the run, ISO 8601. Default: the clock. */
  readonly now?: string;
  /** The id of the run. */
  readonly run?: string;
}

/** Moves a document to a version; to the current one where none is asked for. */
export function migrateDocument(
  model: Model,
  input: unknown,
  target: Version | undefined,
  options: CallOptions = {},
): Outcome<Json> {
  const detected = model.field.detect(input, model.name);
  if (detected.status === 'refused') return detected;
  const { version } = detected.value;
  const to = target ?? model.current;
  if (!model.versions.has(to)) return refused(unknownVersion(model, to));
  const isNewer = target === undefined && isBeyond(model, version);
  const policy = isNewer ? (options.newer ?? model.policy.newer ?? 'refuse') : 'downgrade';
  if (policy === 'refuse') return refused(newer(model, version));
  if (policy === 'downgrade' && !model.versions.has(version)) return refused(unknownVersion(model, version));
  const isHeld = version !== to && target === undefined && !(options.auto ?? model.policy.auto ?? true);
  if (isHeld && policy !== 'pass') return { status: 'needs_migration', from: version, to };
  const copied = options.own === true ? { value: input as Json } : copyJson(input, model.limits.depth);
  if ('fault' in copied) return refused(notPlain(model, copied.fault.pointer, copied.fault.found));
  if (policy === 'pass') return { status: 'passed', document: copied.value, version };
  if (version === to) return alreadyThere(model, copied.value, to);
  return moveDocument(model, copied.value, detected.value, to, options);
}

function isBeyond(model: Model, version: Version): boolean {
  return model.versions.has(version)
    ? model.beyond.has(version)
    : compareVersions(model.rule.order, version, model.current) > 0;
}

function unknownVersion(model: Model, version: Version): Finding {
  return refusal('unknown_version', `${model.name} ${version}`, {
    detail: { known: [...model.versions.keys()] },
    hint: 'Register the version, or correct what the document says.',
  });
}

function newer(model: Model, version: Version): Finding {
  return refusal('document_newer', `${model.name} ${version}`, {
    detail: { current: model.current },
    hint: 'Upgrade this reader, or say with the policy `newer` what becomes of such documents.',
  });
}

function notPlain(model: Model, pointer: string, found: string): Finding {
  const code = found === 'too many levels' ? 'document_too_deep' : 'document_invalid';
  return refusal(code, model.name, {
    detail: { pointer: pointer.slice(0, 200), found },
    hint: 'Give plain JSON within the limits of the type.',
  });
}

function alreadyThere(model: Model, document: Json, version: Version): Outcome<Json> {
  const aliased = applyAliases(model, document, version);
  return aliased.status === 'refused'
    ? aliased
    : { status: 'current', document: aliased.value.document, findings: aliased.value.findings };
}

function moveDocument(
  model: Model,
  document: Json,
  detected: Detected,
  to: Version,
  options: CallOptions,
): Outcome<Json> {
  const from = detected.version;
  const plan = planBetween(model, from, to, { allowLossy: options.allowLossy === true });
  if (plan.status === 'refused') return plan;
  const mayHoldRaw = options.mayHoldRaw ?? holdsRawNumber(document);
  const broken = sourceFaults(model, document, from, mayHoldRaw);
  if (broken !== undefined) return broken;
  const bare = takeApart(model, document, options);
  const { world, ledger } = startRun(model, bare.residue, options);
  const moved = runSteps(plan.value.edges, bare.document, world, ledger);
  if (moved.status === 'refused') return moved;
  const written = settleVersion(model, detected, to, moved.value, ledger);
  const settled = settle(model, written, bare.provenance, {
    plan: plan.value.plan,
    at: world.now,
    run: options.run,
    assumed: ledger.assumed,
    residue: leftOver(ledger),
    stale: ledger.stale,
  });
  return finish(model, plan.value, settled, { document, mayHoldRaw });
}

/** A document that does not fit its own version is refused before the first step (D8, D23). */
function sourceFaults(model: Model, document: Json, from: Version, mayHoldRaw: boolean): Refused | undefined {
  const verdict = validatorOf(model, from)?.(document, mayHoldRaw);
  return verdict === undefined || verdict.isValid
    ? undefined
    : refused(invalidDocument(model, from, 'before the first step', verdict.faults));
}

function invalidDocument(
  model: Model,
  version: Version,
  when: string,
  faults: readonly SchemaFault[],
): Finding {
  return refusal('document_invalid', `${model.name} ${version}`, {
    detail: { when, faults: faults.slice(0, 20).map((fault) => ({ ...fault })) },
    hint: 'Correct the document at these pointers, or the schema of this version.',
  });
}

interface Bare {
  readonly document: Json;
  readonly provenance: Provenance | undefined;
  readonly residue: Residue;
}

function takeApart(model: Model, document: Json, options: CallOptions): Bare {
  const places = placesIn(model, undefined);
  const kept = places.residue === undefined ? undefined : takeResidue(document, places.residue.at);
  const rest = kept?.document ?? document;
  const noted = places.provenance === undefined ? undefined : takeProvenance(rest, places.provenance);
  return {
    document: noted?.document ?? rest,
    provenance: noted?.provenance ?? options.provenance,
    residue: [...(kept?.residue ?? []), ...(options.residue ?? []).filter((row) => row.kept === undefined)],
  };
}

function startRun(
  model: Model,
  residue: Residue,
  options: CallOptions,
): { readonly world: StepWorld; readonly ledger: Ledger } {
  const world = startWorld(model, options.now);
  const stale = residue.length === 0 ? residue : residue.filter(({ isStale }) => isStale === true);
  const found = residue.length === 0 ? new Map<string, readonly ResidueRow[]>() : groupResidue(residue);
  return { world, ledger: { found, kept: [...stale], stale: [], assumed: [] } };
}

const VERSION_ROW = { step: '', op: 'version', at: '', slot: 0 } as const;
const VERSION_KEY = residueKey(VERSION_ROW.step, VERSION_ROW.op, VERSION_ROW.at);

/** A document that said no version says none again when it is back at the legacy version. */
function settleVersion(model: Model, detected: Detected, to: Version, document: Json, ledger: Ledger): Json {
  const isKept = ledger.found.has(VERSION_KEY);
  if (to === model.rule.missing && isKept) {
    ledger.found.delete(VERSION_KEY);
    return model.field.erase(document);
  }
  if (!detected.isSaid && !isKept) ledger.kept.push({ ...VERSION_ROW, pointer: '' });
  return document;
}

function leftOver(ledger: Ledger): Residue {
  if (ledger.found.size === 0 && ledger.stale.length === 0) return ledger.kept;
  const stale = ledger.stale.map((row): ResidueRow => ({ ...row, isStale: true }));
  return [...[...ledger.found.values()].flat(), ...stale, ...ledger.kept];
}

interface Settled {
  readonly document: Json;
  readonly residue: Residue;
  readonly provenance: Provenance;
  readonly assumed: readonly Assumed[];
  readonly findings: readonly Finding[];
}

interface Source {
  readonly document: Json;
  readonly mayHoldRaw: boolean;
}

function finish(model: Model, plan: CompiledPlan, settled: Settled, source: Source): Outcome<Json> {
  const { from, to, path } = plan.plan;
  const aliased = applyAliases(model, settled.document, to);
  if (aliased.status === 'refused') return aliased;
  const { document } = aliased.value;
  const verdict = validatorOf(model, to)?.(document, source.mayHoldRaw);
  if (verdict !== undefined && !verdict.isValid) return blame(model, plan, source, verdict.faults);
  const unknown = unknownFields(model, document, to);
  if (unknown.some(({ severity }) => severity === 'error')) return refused(...unknown);
  const findings = [...settled.findings, ...aliased.value.findings, ...unknown];
  const migrated: Migrated<Json> = {
    status: 'migrated',
    document,
    from,
    to,
    path,
    residue: settled.residue,
    provenance: settled.provenance,
    assumed: settled.assumed,
    findings,
  };
  return migrated;
}

/** Names the first step whose result does not fit its own version; the last where no earlier one has a schema. */
function blame(
  model: Model,
  { edges }: CompiledPlan,
  { document, mayHoldRaw }: Source,
  faults: readonly SchemaFault[],
): Refused {
  const bare = takeApart(model, document, {});
  const { world, ledger } = startRun(model, bare.residue, { now: '' });
  let current = bare.document;
  for (const edge of edges.slice(0, -1)) {
    const next = runStep(edge, current, world, ledger);
    if (next.status === 'refused') break;
    current = next.value;
    const verdict = validatorOf(model, edge.to)?.(current, mayHoldRaw);
    if (verdict !== undefined && !verdict.isValid) return unfit(model, edge, verdict.faults);
  }
  const last = edges.at(-1);
  return unfit(model, last ?? { from: '', to: '' }, faults);
}

function unfit(
  model: Model,
  { from, to }: { readonly from: Version; readonly to: Version },
  faults: readonly SchemaFault[],
): Refused {
  return refused(
    refusal('document_result_invalid', `${model.name} ${from} -> ${to}`, {
      detail: { faults: faults.slice(0, 20).map((fault) => ({ ...fault })) },
      hint: 'Correct the step or the schema it leads to; coverage lists all such documents.',
    }),
  );
}
