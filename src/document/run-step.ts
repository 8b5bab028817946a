/**
 * Takes one document along a path, a step at a time.
 *
 * A code step is held to what it may do: it gets the document, gives another plain one, and names no version but the two
 * it stands between. Where it is of class `residue`, its inverse is run at once, and each place that does not come back
 * is kept.
 */
import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import type { Assumed } from './assumed.ts';
import { compileOps, startWalk, type CompiledOps, type OpFault } from './op/run-op.ts';
import { escapeSegment, pointerToSegments, valueAt, withValueAt } from './pointer.ts';
import { residueKey, type ResidueRow } from './residue-row.ts';
import { ok, refused, type Result } from './result.ts';
import type { Snapshot } from './schema.ts';
import type { CodeStep, DeclaredStep, Edge, StepContext, StepFunction } from './step.ts';
import { copyJson, equalJson, isObject, valueDigest } from './value.ts';
import type { Version, VersionField } from './version.ts';

/** What a run hands to its steps. */
export interface StepWorld {
  readonly name: string;
  readonly field: VersionField;
  readonly now: string;
  readonly depth: number;
  readonly snapshot: (version: Version) => Snapshot | undefined;
}

/** What comes up on the way, over all steps. */
export interface Ledger {
  readonly found: Map<string, readonly ResidueRow[]>;
  readonly kept: ResidueRow[];
  readonly stale: ResidueRow[];
  readonly assumed: Assumed[];
}

/** An edge of ops, ready to run. */
interface CompiledEdge {
  readonly run: CompiledOps['forward'];
  readonly step: string;
  readonly counterStep: string;
}

const compiledByEdge = new WeakMap<Edge, CompiledEdge>();

/**
 * The document after a path. Ops do not see the version, so it is written where code comes next, and at the end.
 */
export function runSteps(
  edges: readonly Edge[],
  document: Json,
  world: StepWorld,
  ledger: Ledger,
): Result<Json> {
  let current = document;
  for (const [at, edge] of edges.entries()) {
    const isSeen = edges[at + 1]?.step.kind !== 'ops';
    const next =
      isSeen || edge.step.kind === 'code'
        ? runStep(edge, current, world, ledger)
        : runOps(edge, current, world, ledger);
    if (next.status === 'refused') return next;
    current = next.value;
  }
  return ok(current);
}

/** The document after this step, of the version it leads to. */
export function runStep(edge: Edge, document: Json, world: StepWorld, ledger: Ledger): Result<Json> {
  const { step } = edge;
  if (step.kind === 'code') return runCode(edge, step, document, world, ledger);
  const changed = runOps(edge, document, world, ledger);
  return changed.status === 'refused' ? changed : atVersion(edge, changed.value, world);
}

function runOps(edge: Edge, document: Json, world: StepWorld, ledger: Ledger): Result<Json> {
  const { step: declared } = edge;
  if (declared.kind === 'code') return ok(document);
  const { run, step, counterStep } = compiledEdge(edge, declared);
  const { found, kept, stale, assumed } = ledger;
  const walk = startWalk({ step, counterStep, found, kept, stale, assumed });
  const changed = run(document, '', walk);
  if (walk.fault !== undefined) return refused(opFinding(edge, world, walk.fault));
  return ok(changed);
}

function compiledEdge(edge: Edge, { ops }: DeclaredStep): CompiledEdge {
  const known = compiledByEdge.get(edge);
  if (known !== undefined) return known;
  const { forward, back } = compileOps(ops);
  const compiled = {
    run: edge.isForward ? forward : back,
    step: `${edge.from}>${edge.to}`,
    counterStep: `${edge.to}>${edge.from}`,
  };
  compiledByEdge.set(edge, compiled);
  return compiled;
}

function atVersion(edge: Edge, document: Json, world: StepWorld): Result<Json> {
  const written = world.field.write(document, edge.to);
  return written === undefined ? refused(stepFailed(edge, world, 'no place for the version')) : ok(written);
}

/** What to do where an op refuses. */
export const OP_HINT: Readonly<Record<OpFault['fault'], string>> = {
  place_taken: 'Say with onExisting what becomes of a value that stands there already.',
  place_missing: 'Put an `add` of the object before the op that writes into it.',
  value_unmapped: 'Add the value to the table, or take such documents apart with `when`.',
  wrong_shape: 'Take documents of another shape apart with `when`, or write a code step.',
};

function opFinding(edge: Edge, world: StepWorld, { fault, pointer, op }: OpFault): Finding {
  return refusal('step_refused', subjectOf(edge, world), {
    detail: { reason: fault, pointer, op },
    hint: OP_HINT[fault],
  });
}

function subjectOf({ from, to }: Edge, { name }: StepWorld): string {
  return `${name} ${from} -> ${to}`;
}

function stepFailed(edge: Edge, world: StepWorld, reason: string): Finding {
  return refusal('document_step_failed', subjectOf(edge, world), {
    detail: { reason },
    hint: 'Correct the step: it takes a read-only object and returns another plain one, at once.',
  });
}

function runCode(edge: Edge, step: CodeStep, document: Json, world: StepWorld, ledger: Ledger): Result<Json> {
  const [run, inverse] = edge.isForward ? [step.up, step.down] : [step.down, step.up];
  if (run === undefined) return refused(stepFailed(edge, world, 'there is no way back'));
  const result = callStep(run, edge, document, world, ledger.assumed);
  if (result.status === 'refused') return result;
  const restored = putBack(edge, document, result.value, ledger);
  if (step.loss === 'residue' && inverse !== undefined) {
    const away: Edge = { ...edge, from: edge.to, to: edge.from, isForward: !edge.isForward };
    const again = callStep(inverse, away, restored, world, []);
    if (again.status === 'refused') return again;
    keepDifferences(edge, document, restored, sameVersion(again.value, document, world.field), ledger);
  }
  return ok(restored);
}

function callStep(
  run: StepFunction,
  edge: Edge,
  document: Json,
  world: StepWorld,
  assumed: Assumed[],
): Result<Json> {
  if (!isObject(document)) return refused(stepFailed(edge, world, 'the document is no object'));
  const returned = tryStep(run, document, contextOf(world, assumed));
  if ('threw' in returned) return refused(stepFailed(edge, world, `it threw ${returned.threw}`));
  if (returned.value instanceof Promise) {
    returned.value.catch(() => undefined);
    return refused(stepFailed(edge, world, 'it returned a promise'));
  }
  if (!isObject(returned.value)) return refused(stepFailed(edge, world, 'it returned no object'));
  const copied = copyJson(returned.value, world.depth);
  if ('fault' in copied)
    return refused(
      stepFailed(edge, world, `it returned ${copied.fault.found} at ${copied.fault.pointer || 'the top'}`),
    );
  const said = world.field.detect(copied.value, world.name);
  const isOther =
    world.field.isSaid(copied.value) &&
    (said.status === 'refused' || ![edge.from, edge.to].includes(said.value.version));
  return isOther
    ? refused(stepFailed(edge, world, 'it wrote another version'))
    : atVersion(edge, copied.value, world);
}

function tryStep(
  run: StepFunction,
  document: JsonObject,
  context: StepContext,
): { readonly value: unknown } | { readonly threw: string } {
  try {
    return { value: run(document, context) };
  } catch (error) {
    // The text of an error may hold values of the document; its name does not.
    return { threw: error instanceof Error ? error.name : typeof error };
  }
}

function contextOf(world: StepWorld, assumed: Assumed[]): StepContext {
  return {
    id: (...parts) => valueDigest(parts).slice('sha256:'.length, 'sha256:'.length + 32),
    now: world.now,
    snapshot: world.snapshot,
    assume: (pointer, value, reason) => {
      assumed.push({ pointer, reason });
      return value;
    },
  };
}

const CODE = 'code';

function putBack(edge: Edge, before: Json, result: Json, ledger: Ledger): Json {
  const key = residueKey(`${edge.to}>${edge.from}`, CODE, '');
  const rows = ledger.found.get(key);
  if (rows === undefined) return result;
  ledger.found.delete(key);
  const isEdited = rows[0]?.of !== valueDigest(before);
  let restored = result;
  for (const row of rows) {
    const at = pointerToSegments(row.pointer);
    // An edited document gets back only what nothing else stands in place of.
    const isFree = valueAt(restored, at) === undefined;
    const put = isEdited && !isFree ? undefined : withValueAt(restored, at, row.value);
    if (put === undefined) ledger.stale.push(row);
    else restored = put;
  }
  return restored;
}

function sameVersion(again: Json, before: Json, field: VersionField): Json {
  return field.isSaid(before) ? again : field.erase(again);
}

function keepDifferences(edge: Edge, before: Json, after: Json, again: Json, ledger: Ledger): void {
  const differences = [...differencesOf(before, again, '')];
  if (differences.length === 0) return;
  const of = valueDigest(after);
  for (const [slot, { pointer, value }] of differences.entries()) {
    const step = `${edge.from}>${edge.to}`;
    const kept = value === undefined ? {} : { value };
    ledger.kept.push({ step, op: CODE, at: '', slot, pointer, ...kept, of });
  }
}

/** The outermost places whose value is not the same; undefined where the first document has none. */
function* differencesOf(
  before: Json | undefined,
  again: Json | undefined,
  pointer: string,
): Generator<{ readonly pointer: string; readonly value: Json | undefined }> {
  if (!isObject(before) || !isObject(again)) {
    if (!equalJson(before, again)) yield { pointer, value: before };
    return;
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(again)])) {
    const here = `${pointer}/${escapeSegment(name)}`;
    const [old, now] = [before, again].map((object) =>
      Object.hasOwn(object, name) ? object[name] : undefined,
    );
    yield* differencesOf(old, now, here);
  }
}
