/**
 * Runs ops on a value, there and back, and keeps what the way back would not reproduce.
 *
 * After a kernel has moved its slots, the inverse is tried on the result. A slot that it does not give back is kept as
 * residue: its old value, with the digest of what now stands there. The way back looks for what was kept first, by step,
 * op and place: where what it belongs to was not edited since, the old values return; else the edited value wins and the
 * residue stays, reported as stale. Elements of an array have no name, so what was kept of one is tied to the digest of
 * the whole element.
 */
import type { Json, JsonObject } from '../../base/index.ts';
import type { Digest } from '../../evidence/index.ts';
import type { Assumed } from '../assumed.ts';
import { escapeSegment, pointerToSegments, segmentsToPointer, valueAt, withValueAt } from '../pointer.ts';
import { residueKey, type ResidueRow } from '../residue-row.ts';
import {
  defineMember,
  equalJson,
  isArray,
  isObject,
  memberOf,
  renamedMember,
  valueDigest,
} from '../value.ts';
import { equalSlots, kernelOf, type Kernel, type LeafOp, type MoveFault, type Slots } from './kernel.ts';
import type { Branch, Op, Test } from './op.ts';

/** Why an op refuses a document. */
export interface OpFault {
  readonly fault: MoveFault | 'place_missing';
  readonly pointer: string;
  readonly op: string;
}

/** One run of a step in one direction: what may be put back, and what has come up so far. */
export interface Walk {
  /** The step in the direction it is taken: `1.0.0>1.1.0`. */
  readonly step: string;
  /** The opposite one, whose residue may be put back. */
  readonly counterStep: string;
  /** What the opposite direction kept, by `residueKey`; what is used is taken out. */
  readonly found: Map<string, readonly ResidueRow[]>;
  readonly kept: ResidueRow[];
  readonly stale: ResidueRow[];
  readonly assumed: Assumed[];
  fault: OpFault | undefined;
  /** Whether an element of an array is at work: the outermost one decides what is put back into it. */
  isInElement: boolean;
  /** Keys of `found` by the elements that they may belong to; made when the first is asked for. */
  keysByElement: Map<string, readonly string[]> | undefined;
}

/** A walk that begins. */
export type WalkStart = Pick<Walk, 'step' | 'counterStep' | 'found' | 'kept' | 'stale' | 'assumed'>;

/** Begins a walk. */
export function startWalk({ step, counterStep, found, kept, stale, assumed }: WalkStart): Walk {
  return {
    step,
    counterStep,
    found,
    kept,
    stale,
    assumed,
    fault: undefined,
    isInElement: false,
    keysByElement: undefined,
  };
}

/** One op, ready to run: `at` is where the value stands in the document. */
export type Runner = (value: Json, at: string, walk: Walk) => Json;

/** Ops ready to run in both directions. */
export interface CompiledOps {
  readonly forward: Runner;
  readonly back: Runner;
}

/** Prepares ops once, so that a document costs no parsing of pointers or tables. */
export function compileOps(ops: readonly Op[], name = ''): CompiledOps {
  const compiled = ops.map((op, index) => compileOp(op, `${name}${index}`));
  const forwards = compiled.map(({ forward }) => forward);
  const backs = compiled.map(({ back }) => back).toReversed();
  return { forward: inTurn(forwards), back: inTurn(backs) };
}

function inTurn(runners: readonly Runner[]): Runner {
  return (value, at, walk) => {
    let current = value;
    for (const run of runners) {
      current = run(current, at, walk);
      if (walk.fault !== undefined) return value;
    }
    return current;
  };
}

function compileOp(op: Op, name: string): CompiledOps {
  switch (op.kind) {
    case 'inside':
      return compileNested(op.at, op.ops, name, insideRunner);
    case 'map':
      return compileNested(op.at, op.ops, name, (run, inner) => mapRunner(run, inner));
    case 'mapValues':
      return compileNested(op.at, op.ops, name, membersRunner);
    case 'tree':
      return compileTree(op, name);
    case 'when':
      return compileWhen(op.test, op.ops, op.otherwise, name);
    default: {
      const kernel = kernelOf(op);
      const forward = op.kind === 'rename' && kernel.isExact ? renameRunner(op, name) : undefined;
      return {
        forward: assuming(op, forward ?? slotRunner(kernel, name, true)),
        back: slotRunner(kernel, name, false),
      };
    }
  }
}

/** A value that an op declares as a guess is told for each document that it was put into. */
function assuming(op: LeafOp, run: Runner): Runner {
  if (op.kind !== 'add' || op.assumed === undefined) return run;
  const segments = pointerToSegments(op.at);
  const reason = op.assumed;
  return (value, at, walk) => {
    const isNew = valueAt(value, segments) === undefined;
    const result = run(value, at, walk);
    if (isNew && walk.fault === undefined) walk.assumed.push({ pointer: at + op.at, reason });
    return result;
  };
}

/** The most frequent op without the general machinery; it keeps the member in its place. */
function renameRunner(op: LeafOp & { readonly kind: 'rename' }, name: string): Runner {
  const segments = pointerToSegments(op.at);
  const above = segments.slice(0, -1);
  const from = segments.at(-1) ?? '';
  return (value, at, walk) => {
    const parent = valueAt(value, above);
    if (!isObject(parent) || memberOf(parent, from) === undefined) return value;
    if (memberOf(parent, op.name) !== undefined) return refuse(value, walk, name, at + op.at, 'place_taken');
    return withValueAt(value, above, renamedMember(parent, from, op.name)) ?? value;
  };
}

function slotRunner(kernel: Kernel, name: string, isForward: boolean): Runner {
  const move = isForward ? kernel.forward : kernel.back;
  const inverse = isForward ? kernel.back : kernel.forward;
  const first = segmentsToPointer(kernel.slots[0] ?? []);
  return (value, at, walk) => {
    const before = kernel.slots.map((segments) => valueAt(value, segments));
    const moved = move(before);
    if (typeof moved === 'string') return refuse(value, walk, name, at + first, moved);
    const after = putBack(kernel, before, moved, takeRows(walk, name, at), walk);
    const written = writeSlots(value, kernel, before, after);
    if (written === undefined) return refuse(value, walk, name, at + first, 'place_missing');
    if (!kernel.isExact) keepUnreproduced(kernel, before, after, inverse(after), { name, at, walk });
    return written;
  };
}

function refuse(value: Json, walk: Walk, op: string, pointer: string, fault: OpFault['fault']): Json {
  walk.fault ??= { fault, pointer, op };
  return value;
}

function takeRows(walk: Walk, name: string, at: string): readonly ResidueRow[] {
  if (walk.found.size === 0) return [];
  const key = residueKey(walk.counterStep, name, at);
  const rows = walk.found.get(key) ?? [];
  walk.found.delete(key);
  return rows;
}

function putBack(
  kernel: Kernel,
  before: Slots,
  moved: Slots,
  rows: readonly ResidueRow[],
  walk: Walk,
): Slots {
  const of = rows[0]?.of;
  if (rows.length === 0) return moved;
  const kept = moved.map((value, slot) => {
    const row = rows.find((row) => row.slot === slot);
    return row === undefined ? value : row.value;
  });
  if (of === slotsDigest(before)) return kept;
  if (kernel.merge !== undefined) return kernel.merge(moved, kept);
  walk.stale.push(...rows);
  return moved;
}

/** Undefined when every slot is empty: then there is nothing that could have been edited. */
function slotsDigest(slots: Slots): Digest | undefined {
  if (slots.every((value) => value === undefined)) return undefined;
  return valueDigest(slots.map((value) => (value === undefined ? [] : [value])));
}

function keepUnreproduced(
  kernel: Kernel,
  before: Slots,
  after: Slots,
  again: Slots | MoveFault,
  { name, at, walk }: { readonly name: string; readonly at: string; readonly walk: Walk },
): void {
  if (typeof again !== 'string' && equalSlots(again, before)) return;
  const of = slotsDigest(after);
  for (const [slot, value] of before.entries()) {
    if (typeof again !== 'string' && equalJson(again[slot], value)) continue;
    const pointer = at + segmentsToPointer(kernel.slots[slot] ?? []);
    walk.kept.push({
      step: walk.step,
      op: name,
      at,
      slot,
      pointer,
      ...(value === undefined ? {} : { value }),
      ...(of === undefined ? {} : { of }),
    });
  }
}

function writeSlots(root: Json, kernel: Kernel, before: Slots, after: Slots): Json | undefined {
  let written: Json | undefined = root;
  // What goes away goes first: a value may move to a place below the one it stood in.
  for (const isRemoval of [true, false]) {
    for (const [slot, value] of after.entries()) {
      if ((value === undefined) !== isRemoval || value === before[slot]) continue;
      written = withValueAt(written, kernel.slots[slot] ?? [], value);
      if (written === undefined) return undefined;
    }
  }
  return written;
}

function compileNested(
  at: string,
  ops: readonly Op[],
  name: string,
  make: (run: Runner, op: string) => Runner,
): CompiledOps {
  const { forward, back } = compileOps(ops, `${name}/`);
  return { forward: scoped(at, make(forward, name)), back: scoped(at, make(back, name)) };
}

/** Runs at a place, if there is one. */
function scoped(at: string, run: Runner): Runner {
  const segments = pointerToSegments(at);
  return (value, above, walk) => {
    const inner = valueAt(value, segments);
    if (inner === undefined) return value;
    const changed = run(inner, above + at, walk);
    return changed === inner ? value : (withValueAt(value, segments, changed) ?? value);
  };
}

function insideRunner(run: Runner, name: string): Runner {
  return (inner, at, walk) =>
    isObject(inner) ? run(inner, at, walk) : refuse(inner, walk, name, at, 'wrong_shape');
}

function membersRunner(run: Runner, name: string): Runner {
  return (inner, at, walk) => {
    if (!isObject(inner)) return refuse(inner, walk, name, at, 'wrong_shape');
    const changed: Record<string, Json> = {};
    let isChanged = false;
    for (const member of Object.keys(inner)) {
      const before = inner[member] as Json;
      const value = run(before, `${at}/${escapeSegment(member)}`, walk);
      if (value !== before) isChanged = true;
      defineMember(changed, member, value);
    }
    return isChanged ? (changed satisfies JsonObject) : inner;
  };
}

function mapRunner(run: Runner, name: string): Runner {
  return (inner, at, walk) => {
    if (!isArray(inner)) return refuse(inner, walk, name, at, 'wrong_shape');
    const runElement = walk.isInElement ? run : outermost(run, name);
    const changed = inner.map((element, index) => runElement(element, `${at}/${index}`, walk));
    return changed.some((element, index) => element !== inner[index]) ? changed : inner;
  };
}

/** The outermost array decides: its element covers those of the arrays within. */
function outermost(run: Runner, name: string): Runner {
  return (element, at, walk) => {
    dropEdited(element, at, name, walk);
    const keptBefore = walk.kept.length;
    walk.isInElement = true;
    const changed = run(element, at, walk);
    walk.isInElement = false;
    if (walk.kept.length > keptBefore) tieToElement(walk.kept, keptBefore, changed);
    return changed;
  };
}

/** What was kept of an element is only put back into the same element, whose place may hold another by now. */
function dropEdited(element: Json, at: string, name: string, walk: Walk): void {
  if (walk.found.size === 0) return;
  walk.keysByElement ??= keysByElement(walk);
  let digest: Digest | undefined;
  for (const key of walk.keysByElement.get(at) ?? []) {
    const rows = walk.found.get(key) ?? [];
    const tied = rows[0];
    if (tied === undefined || !tied.op.startsWith(`${name}/`)) continue;
    digest ??= valueDigest(element);
    if (tied.element === digest) continue;
    walk.found.delete(key);
    walk.stale.push(...rows);
  }
}

/** By each place above a row that may be an element's: its last part is a number. */
function keysByElement({ found, counterStep }: Walk): Map<string, readonly string[]> {
  const keys = new Map<string, string[]>();
  for (const [key, [tied]] of found) {
    if (tied?.element === undefined || tied.step !== counterStep) continue;
    const parts = tied.at.split('/');
    for (let end = 2; end <= parts.length; end += 1) {
      if (!/^\d+$/u.test(parts[end - 1] ?? '')) continue;
      const place = parts.slice(0, end).join('/');
      const known = keys.get(place);
      if (known === undefined) keys.set(place, [key]);
      else known.push(key);
    }
  }
  return keys;
}

function tieToElement(kept: ResidueRow[], from: number, element: Json): void {
  const digest = valueDigest(element);
  for (let at = from; at < kept.length; at += 1) {
    kept[at] = { ...(kept[at] as ResidueRow), element: digest };
  }
}

/** There the lowest come first, back the topmost: each is found in the shape that the other way left it in. */
function compileTree(op: Op & { readonly kind: 'tree' }, name: string): CompiledOps {
  const { forward, back } = compileOps(op.ops, `${name}/`);
  const rise: Runner = (value, at, walk) => forward(below(value, at, walk), at, walk);
  const sink: Runner = (value, at, walk) => {
    const changed = back(value, at, walk);
    return walk.fault === undefined ? above(changed, at, walk) : value;
  };
  const below = inTurn(op.branches.map((branch) => branchRunner(branch, rise, name)));
  const above = inTurn(op.branches.map((branch) => branchRunner(branch, sink, name)).toReversed());
  return {
    forward: scoped(op.at, rise),
    back: scoped(op.at, sink),
  };
}

function branchRunner({ at, each }: Branch, run: Runner, name: string): Runner {
  if (each === undefined) return scoped(at, run);
  return scoped(at, each === 'item' ? mapRunner(run, name) : membersRunner(run, name));
}

function compileWhen(test: Test, ops: readonly Op[], otherwise: readonly Op[], name: string): CompiledOps {
  const yes = compileOps(ops, `${name}/`);
  const no = compileOps(otherwise, `${name}/else`);
  const holds = compileTest(test);
  const runner =
    (isForward: boolean): Runner =>
    (value, at, walk) => {
      const [noted] = takeRows(walk, name, at);
      const branch = noted === undefined ? holds(value) : noted.value === true;
      const compiled = branch ? yes : no;
      const changed = (isForward ? compiled.forward : compiled.back)(value, at, walk);
      if (walk.fault === undefined && holds(changed) !== branch) {
        walk.kept.push({ step: walk.step, op: name, at, slot: 0, pointer: at, value: branch });
      }
      return changed;
    };
  return { forward: runner(true), back: runner(false) };
}

/** The test, ready to be asked. */
export function compileTest(test: Test): (value: Json) => boolean {
  const segments = pointerToSegments(test.at);
  if ('exists' in test) return (value) => (valueAt(value, segments) !== undefined) === test.exists;
  if ('equals' in test) return (value) => equalJson(valueAt(value, segments), test.equals);
  return (value) => {
    const found = valueAt(value, segments);
    return found !== undefined && typeOf(found) === test.type;
  };
}

function typeOf(value: Json): string {
  if (value === null) return 'null';
  if (isArray(value)) return 'array';
  if (isObject(value)) return 'object';
  return typeof value === 'object' ? 'number' : typeof value;
}
