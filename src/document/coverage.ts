/**
 * What a move would do to a whole corpus: every document is moved, nothing is written.
 *
 * Each document is also moved back, so that the report says what would not return, and each code step is watched for what
 * it may not ask. Contents never get into the report: a document is named by its id.
 */
import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import { leavesOf, missingLeaves } from './leaf.ts';
import { migrateDocument } from './migrate.ts';
import { planBetween, type CompiledPlan, type Model } from './model.ts';
import type { CoverageFailure, CoverageReport, Thresholds } from './coverage-report.ts';
import type { Migrated } from './outcome.ts';
import type { Pointer } from './pointer.ts';
import { impureCalls } from './purity.ts';
import { runStep } from './run-step.ts';
import { startWorld } from './step-world.ts';
import { parseDocument } from './text.ts';
import { undeclaredOf } from './undeclared.ts';
import { unnamedPointers } from './unknown-field.ts';
import { equalJson } from './value.ts';
import type { Version } from './version.ts';

/** One document of a corpus, as a value or as bytes. */
export type CorpusDocument = { readonly id: string } & (
  { readonly document: unknown } | { readonly bytes: Uint8Array }
);

/** A corpus: what can be read once, from the first to the last. */
export type Corpus = Iterable<CorpusDocument> | AsyncIterable<CorpusDocument>;

/** What a report may be told beside its corpus. */
export interface CoverageOptions {
  /** The time that steps see. Default: the clock, read once. */
  readonly now?: string;
  readonly thresholds?: Thresholds;
}

/** The report, and what in it is more than allowed. */
export interface CoverageResult {
  readonly status: 'ok' | 'refused';
  readonly findings: readonly Finding[];
  readonly report: CoverageReport;
}

const MOST_SAMPLES = 5;

/** Moves every document of a corpus on trial. */
export async function coverCorpus(
  model: Model,
  corpus: Corpus,
  target: Version,
  options: CoverageOptions = {},
): Promise<CoverageResult> {
  const counter = createCounter(model, target, options);
  for await (const document of corpus) counter.add(document);
  return counter.result();
}

/** Counts documents one by one, for those who have them at hand. */
export interface CoverageCounter {
  add(document: CorpusDocument): void;
  result(): CoverageResult;
}

/** An empty count. */
export function createCounter(model: Model, target: Version, options: CoverageOptions): CoverageCounter {
  const tally = emptyTally();
  const beside: Model = {
    ...model,
    policy: { ...model.policy, provenance: 'beside', residue: 'beside', unknownFields: 'keep' },
    placesByVersion: new Map(),
  };
  const trial: Trial = { model, beside, target, now: startWorld(model, options.now).now, tally };
  return {
    add: (entry) => addDocument(trial, entry),
    result: () => {
      const report = reportOf(trial);
      const thresholds = { ...model.policy.thresholds, ...options.thresholds };
      const findings = breaches(model, report, thresholds);
      const told = [...findings, ...undeclaredFindings(model, report)];
      return { status: findings.length > 0 ? 'refused' : 'ok', findings: told, report };
    },
  };
}

interface Tally {
  documents: number;
  lossy: number;
  assumed: number;
  exactNumbers: number;
  reordered: number;
  ambiguous: number;
  readonly undeclared: Map<string, number>;
  readonly roundTrip: { equal: number; different: number; noWayBack: number };
  readonly byVersion: Map<string, number>;
  readonly byPath: Map<string, number>;
  readonly byStep: Map<string, number>;
  readonly quarantined: Map<string, number>;
  readonly droppedFields: Map<string, number>;
  readonly unknownFields: Map<string, number>;
  readonly impure: Map<string, number>;
  readonly failures: Map<string, { pointer: Pointer; keyword: string; count: number; samples: string[] }>;
}

function emptyTally(): Tally {
  return {
    documents: 0,
    lossy: 0,
    assumed: 0,
    exactNumbers: 0,
    reordered: 0,
    undeclared: new Map(),
    ambiguous: 0,
    roundTrip: { equal: 0, different: 0, noWayBack: 0 },
    byVersion: new Map(),
    byPath: new Map(),
    byStep: new Map(),
    quarantined: new Map(),
    droppedFields: new Map(),
    unknownFields: new Map(),
    impure: new Map(),
    failures: new Map(),
  };
}

interface Trial {
  readonly model: Model;
  /** The same type with provenance and residue beside: what comes back can then be compared as it is. */
  readonly beside: Model;
  readonly target: Version;
  readonly now: string;
  readonly tally: Tally;
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function addDocument(trial: Trial, entry: CorpusDocument): void {
  const { model, target, now, tally } = trial;
  tally.documents += 1;
  const read = readEntry(trial, entry);
  if (read === undefined) return;
  const detected = model.field.detect(read, model.name);
  bump(tally.byVersion, detected.status === 'ok' ? detected.value.version : 'undetectable');
  const outcome = migrateDocument(model, read, target, { allowLossy: true, now });
  if (outcome.status === 'refused') return countRefusal(tally, entry.id, outcome.findings);
  if (outcome.status !== 'migrated') return;
  countMoved(trial, read as Json, outcome);
}

function readEntry({ model, tally }: Trial, entry: CorpusDocument): unknown {
  if ('document' in entry) return entry.document;
  const parsed = parseDocument(entry.bytes, model.limits, model.name);
  if (parsed.status === 'refused') {
    bump(tally.byVersion, 'undetectable');
    bump(tally.quarantined, parsed.findings[0]?.code ?? 'json_invalid');
    return undefined;
  }
  if (parsed.value.scan.exactNumbers > 0) tally.exactNumbers += 1;
  if (parsed.value.scan.isReordered) tally.reordered += 1;
  return parsed.value.document;
}

function countRefusal(tally: Tally, id: string, findings: readonly Finding[]): void {
  const [finding] = findings;
  if (finding === undefined) return;
  if (finding.code === 'path_ambiguous') tally.ambiguous += 1;
  const faults = finding.detail['faults'];
  if (!Array.isArray(faults)) return bump(tally.quarantined, finding.code);
  for (const { pointer, keyword } of faults as readonly { pointer: string; keyword: string }[]) {
    const place = anyElement(pointer);
    const key = `${place}\n${keyword}`;
    const failure = tally.failures.get(key) ?? { pointer: place, keyword, count: 0, samples: [] };
    failure.count += 1;
    if (failure.samples.length < MOST_SAMPLES) failure.samples.push(id);
    tally.failures.set(key, failure);
  }
}

/** Elements of an array count as one place. */
function anyElement(pointer: Pointer): Pointer {
  return pointer.replaceAll(/\/\d+(?=\/|$)/gu, '/*');
}

function countMoved(trial: Trial, document: Json, outcome: Migrated<Json>): void {
  const { model, target, tally } = trial;
  const plan = planBetween(model, outcome.from, target, { allowLossy: true });
  if (plan.status === 'refused') return;
  const { edges } = plan.value;
  bump(tally.byPath, [outcome.from, ...edges.map(({ to }) => to)].join(' -> '));
  for (const { from, to } of edges) bump(tally.byStep, `${from}>${to}`);
  if (edges.some(({ step }) => step.loss === 'lossy')) tally.lossy += 1;
  tally.assumed += outcome.assumed.length;
  const json = model.versions.get(target)?.snapshot?.json;
  const unnamed = json === undefined ? [] : unnamedPointers(model, json, outcome.document);
  for (const pointer of new Set(unnamed.map(anyElement))) bump(tally.unknownFields, pointer);
  countRoundTrip(trial, document, outcome.from);
  countSteps(trial, plan.value, document);
}

function countRoundTrip({ beside, target, now, tally }: Trial, document: Json, from: Version): void {
  const up = migrateDocument(beside, document, target, { allowLossy: true, now });
  if (up.status !== 'migrated') return;
  const { residue } = up;
  const down = migrateDocument(beside, up.document, from, { allowLossy: true, now, residue });
  // What came back equal has every value that there was.
  if (down.status === 'migrated' && equalJson(down.document, document)) {
    tally.roundTrip.equal += 1;
    return;
  }
  const isBack = down.status === 'migrated';
  const found = isBack ? [down.document] : [up.document, ...residue.map(({ value }) => value ?? null)];
  for (const pointer of missingLeaves(leavesOf(document), found))
    bump(tally.droppedFields, anyElement(pointer));
  if (isBack) tally.roundTrip.different += 1;
  else tally.roundTrip.noWayBack += 1;
}

/** Step by step: what code asks beside its document, and what is made up without a word. */
function countSteps({ model, now, tally }: Trial, { edges }: CompiledPlan, document: Json): void {
  const world = startWorld(model, now);
  let current = document;
  for (const edge of edges) {
    if (edge.step.kind === 'code') {
      const calls = impureCalls(edge, current, world);
      if (calls.length > 0) bump(tally.impure, `${edge.from}>${edge.to}: ${calls.join(', ')}`);
    }
    const ledger = { found: new Map(), kept: [], stale: [], assumed: [] };
    const next = runStep(edge, current, world, ledger);
    if (next.status === 'refused') return;
    const undeclared = undeclaredOf(model, edge, current, next.value, ledger.assumed);
    for (const pointer of new Set(undeclared.map(anyElement))) bump(tally.undeclared, pointer);
    current = next.value;
  }
}

function reportOf({ model, target, tally }: Trial): CoverageReport {
  const { failures, byStep } = tally;
  const isHit = (from: Version, to: Version) => byStep.has(`${from}>${to}`) || byStep.has(`${to}>${from}`);
  return {
    target,
    documents: tally.documents,
    byVersion: Object.fromEntries(tally.byVersion),
    byPath: Object.fromEntries(tally.byPath),
    failures: [...failures.values()].toSorted(
      (left, right) => right.count - left.count,
    ) satisfies CoverageFailure[],
    lossy: tally.lossy,
    assumed: tally.assumed,
    quarantined: Object.fromEntries(tally.quarantined),
    byStep: Object.fromEntries(byStep),
    neverHit: model.graph.edges
      .filter(({ isForward, from, to }) => isForward && !isHit(from, to))
      .map(({ from, to }) => `${from}>${to}`),
    droppedFields: Object.fromEntries(tally.droppedFields),
    unknownFields: Object.fromEntries(tally.unknownFields),
    roundTrip: { ...tally.roundTrip },
    impure: Object.fromEntries(tally.impure),
    undeclared: Object.fromEntries(tally.undeclared),
    exactNumbers: tally.exactNumbers,
    reordered: tally.reordered,
    ambiguous: tally.ambiguous,
  };
}

function breaches(model: Model, report: CoverageReport, thresholds: Thresholds): readonly Finding[] {
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  const counts: Readonly<Record<keyof Thresholds, number>> = {
    failures: report.failures.reduce((total, { count }) => total + count, 0),
    quarantined: sum(report.quarantined),
    droppedFields: sum(report.droppedFields),
    impure: sum(report.impure),
    undeclared: sum(report.undeclared),
    ambiguous: report.ambiguous,
  };
  return (Object.keys(counts) as readonly (keyof Thresholds)[]).flatMap((what) => {
    const most = thresholds[what] ?? (what === 'undeclared' ? Infinity : 0);
    return counts[what] > most ? [breach(model, report, what, { found: counts[what], most })] : [];
  });
}

function breach(model: Model, report: CoverageReport, what: keyof Thresholds, detail: JsonObject): Finding {
  const code = what === 'impure' ? 'impure_step' : 'coverage_exceeded';
  const steps = what === 'impure' ? { steps: Object.keys(report.impure) } : {};
  return refusal(code, `${model.name} ${report.target}`, {
    detail: { what, ...detail, ...steps },
    hint: 'Read the report: correct the step, the schema or the documents, or allow this many by a threshold.',
  });
}

/** A guess that nobody declared is told; it refuses only where a threshold says so. */
function undeclaredFindings(model: Model, report: CoverageReport): readonly Finding[] {
  const pointers = Object.keys(report.undeclared);
  if (pointers.length === 0) return [];
  return [
    {
      code: 'undeclared_assumption',
      severity: 'warning',
      subject: `${model.name} ${report.target}`,
      detail: { pointers: pointers.slice(0, 20) },
      hint: 'Say with `assumed` or `ctx.assume` that it is a guess, or make it the default of the schema.',
    },
  ];
}
