import type { Json, JsonObject } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import { lossOf, worstLoss, type Loss } from './op/loss.ts';
import type { Op } from './op/op.ts';
import type { Pointer } from './pointer.ts';
import type { Snapshot } from './schema.ts';
import { valueDigest } from './value.ts';
import type { Version } from './version.ts';

/** All that a code step may know beside its document: it is a pure function of both. */
export interface StepContext {
  /** An id that follows from its parts alone: equal parts, equal id. */
  readonly id: (...parts: readonly Json[]) => string;
  /** The one time of the run, ISO 8601. */
  readonly now: string;
  readonly snapshot: (version: Version) => Snapshot | undefined;
  /** Tells that a value is a guess, and returns it. */
  readonly assume: <V extends Json>(pointer: Pointer, value: V, reason: string) => V;
}

/** Moves a read-only document one version on. */
export type StepFunction = (document: JsonObject, context: StepContext) => JsonObject;

/** One edge between two versions, always described from the older to the newer one. */
export type Step = DeclaredStep | CodeStep;

interface StepEnds {
  readonly from: Version;
  readonly to: Version;
  /** How much this step weighs when there are several ways. Default 1. */
  readonly cost: number;
  readonly loss: Loss;
  readonly digest: Digest;
}

/** A step that is data. */
export interface DeclaredStep extends StepEnds {
  readonly kind: 'ops';
  readonly ops: readonly Op[];
}

/** A step that is code. */
export interface CodeStep extends StepEnds {
  readonly kind: 'code';
  readonly up: StepFunction;
  readonly down: StepFunction | undefined;
}

/** A step as it is taken. */
export type StepRef = {
  readonly from: Version;
  readonly to: Version;
  /** Digest of the step as it is registered, the same there and back. */
  readonly digest: Digest;
};

/**
 * A declarative step: its inverse, loss class and schema transform follow from its ops.
 *
 * Example:
 * ```ts
 * import { op, step } from 'varve/document';
 * const renamed = step('1.0.0', '1.1.0', [op.rename('/title', 'name')]);
 * console.log(renamed.loss); // lossless
 * ```
 */
export function step(
  from: Version,
  to: Version,
  ops: readonly Op[],
  options: { readonly cost?: number } = {},
): DeclaredStep {
  const loss = worstLoss(ops.map(lossOf));
  const digest = valueDigest({ from, to, ops });
  return { kind: 'ops', from, to, ops, cost: options.cost ?? 1, loss, digest };
}

/**
 * A step that no op covers. `revision` stands for the code: raise it when the function gives other documents.
 *
 * Invariant: pure. `check` and `coverage` run it twice under another clock, randomness and time zone.
 */
export function code(
  from: Version,
  to: Version,
  options: {
    readonly up: StepFunction;
    readonly down?: StepFunction;
    readonly loss: Loss;
    readonly revision: number;
    readonly cost?: number;
  },
): CodeStep {
  const { up, down, loss, revision, cost = 1 } = options;
  const digest = valueDigest({ from, to, loss, revision, isReversible: down !== undefined });
  return { kind: 'code', from, to, up, down, loss, cost, digest };
}

/** A step in the direction that it is taken. */
export interface Edge {
  readonly step: Step;
  readonly from: Version;
  readonly to: Version;
  readonly isForward: boolean;
  /** Place among the registered steps, which settles between equivalent ways. */
  readonly order: number;
}

/** Both directions of a step; one where code has no way back. */
export function edgesOf(step: Step, order: number): readonly Edge[] {
  const forward: Edge = { step, from: step.from, to: step.to, isForward: true, order };
  const isReversible = step.kind === 'ops' || step.down !== undefined;
  const back: Edge = { step, from: step.to, to: step.from, isForward: false, order };
  return isReversible ? [forward, back] : [forward];
}

/** What is told of an edge. */
export function stepRef({ from, to, step }: Edge): StepRef {
  return { from, to, digest: step.digest };
}
