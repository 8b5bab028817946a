/**
 * A kernel is what is left of a leaf op without places: a pure move of the values in a few slots, and its inverse.
 *
 * ```text
 * rename /title -> /name     slots [/title, /name]     forward ['x', -] -> [-, 'x']     back [-, 'x'] -> ['x', -]
 * ```
 *
 * Reading and writing the slots, and keeping what the inverse does not reproduce, is the same for all (`run-op.ts`).
 */
import type { Json } from '../../base/index.ts';
import { pointerToSegments, segmentsToPointer, type Segments } from '../pointer.ts';
import { equalJson, isArray, isObject, memberOf, withMember, withoutMember } from '../value.ts';
import { coerceTo, conversionOf, type Convert } from './conversion.ts';
import { lossOf } from './loss.ts';
import type { OnExisting, Op } from './op.ts';

/** The values of the slots; undefined where there is none. */
export type Slots = readonly (Json | undefined)[];

/** Why a move refuses: the place is taken, the value has no counterpart, or the value is of a shape it cannot take. */
export type MoveFault = 'place_taken' | 'value_unmapped' | 'wrong_shape';

/** New values for the slots, or a refusal. */
export type Move = (slots: Slots) => Slots | MoveFault;

/** The kernel of a leaf op. */
export interface Kernel {
  readonly slots: readonly Segments[];
  readonly forward: Move;
  readonly back: Move;
  /** Whether the inverse gives every value back, so that nothing has to be compared. */
  readonly isExact: boolean;
  /** What an edited value becomes when what was kept of the old one is put together with it. */
  readonly merge?: (now: Slots, kept: Slots) => Slots;
}

/** An op that moves values by itself. */
export type LeafOp = Exclude<Op, { readonly ops: readonly Op[] }>;

/** The kernel of a leaf op. */
export function kernelOf(op: LeafOp): Kernel {
  const isExact = lossOf(op) === 'lossless';
  switch (op.kind) {
    case 'add':
      return {
        slots: [pointerToSegments(op.at)],
        forward: ([now]) => (now === undefined ? [op.value] : taken(op.onExisting, [now], [op.value])),
        back: () => [undefined],
        isExact: false,
      };
    case 'remove':
      return { slots: [pointerToSegments(op.at)], forward: () => [undefined], back: (now) => now, isExact };
    case 'introduce':
      return { slots: [pointerToSegments(op.at)], forward: (now) => now, back: () => [undefined], isExact };
    case 'constant':
      return {
        slots: [pointerToSegments(op.at)],
        forward: () => [op.value],
        back: () => [undefined],
        isExact,
      };
    case 'rename':
      return { ...moveKernel(op.at, sibling(op.at, op.name), op.onExisting), isExact };
    case 'move':
      return { ...moveKernel(op.from, op.to, op.onExisting), isExact };
    case 'copy':
      return { ...copyKernel(op.onExisting), slots: [op.from, op.to].map(pointerToSegments), isExact };
    case 'nest':
      return { ...nestKernel(op.names, true), slots: [...op.names, op.under].map((name) => [name]) };
    case 'hoist': {
      const at = pointerToSegments(op.at);
      const above = at.slice(0, -1);
      return { ...nestKernel(op.names, false), slots: [...op.names.map((name) => [...above, name]), at] };
    }
    case 'wrap':
      // An array of the newer version may have more than one element: the way down keeps its tail.
      return {
        slots: [pointerToSegments(op.at)],
        forward: wrap,
        back: head,
        isExact: false,
        merge: withTail,
      };
    case 'head':
      return { slots: [pointerToSegments(op.at)], forward: head, back: wrap, isExact, merge: withTail };
    case 'convert': {
      const { forward, back } = conversionOf(op.by);
      return {
        slots: [pointerToSegments(op.at)],
        forward: eachPresent(forward),
        back: eachPresent(back),
        isExact,
      };
    }
    case 'coerce':
      return {
        slots: [pointerToSegments(op.at)],
        forward: eachPresent((value) => coerceTo(value, op.to)),
        back: eachPresent((value) => coerceTo(value, op.from)),
        isExact,
      };
    case 'split':
      return splitKernel(op.at, op.into, op.separator);
    case 'combine': {
      const { slots, forward, back } = splitKernel(op.into, op.from, op.separator);
      return { slots, forward: back, back: forward, isExact };
    }
  }
}

function sibling(at: string, name: string): string {
  return segmentsToPointer([...pointerToSegments(at).slice(0, -1), name]);
}

function taken(policy: OnExisting | undefined, kept: Slots, replaced: Slots): Slots | MoveFault {
  if (policy === 'keep') return kept;
  return policy === 'replace' ? replaced : 'place_taken';
}

function moveKernel(from: string, to: string, policy: OnExisting | undefined): Kernel {
  const move =
    (policy: OnExisting | undefined): Move =>
    ([value, there]) => {
      if (value === undefined) return [undefined, there];
      return there === undefined ? [undefined, value] : taken(policy, [undefined, there], [undefined, value]);
    };
  const forward = move(policy);
  return {
    slots: [pointerToSegments(from), pointerToSegments(to)],
    forward,
    back: (slots) => {
      const moved = move('refuse')(slots.toReversed());
      return typeof moved === 'string' ? moved : moved.toReversed();
    },
    isExact: true,
  };
}

function copyKernel(policy: OnExisting | undefined): Omit<Kernel, 'slots'> {
  return {
    forward: ([value, there]) => {
      if (value === undefined) return [value, there];
      return there === undefined ? [value, value] : taken(policy, [value, there], [value, value]);
    },
    // The second place is the newer one, but the first is what old readers wrote: an edited copy is residue.
    back: ([value, there]) => (value === undefined ? [value, there] : [value, undefined]),
    isExact: false,
  };
}

/** Slots: the members outside, then the object. */
function nestKernel(names: readonly string[], isNest: boolean): Omit<Kernel, 'slots'> {
  const nest: Move = (slots) => {
    const members = slots.slice(0, -1);
    const there = slots.at(-1);
    if (members.every((value) => value === undefined)) return slots;
    if (there !== undefined && !isObject(there)) return 'place_taken';
    let object = there ?? {};
    for (const [at, value] of members.entries()) {
      if (value === undefined) continue;
      if (memberOf(object, names[at] as string) !== undefined) return 'place_taken';
      object = withMember(object, names[at] as string, value);
    }
    return [...members.map(() => undefined), object];
  };
  const hoist: Move = (slots) => {
    const members = slots.slice(0, -1);
    const there = slots.at(-1);
    if (there === undefined) return slots;
    if (!isObject(there)) return 'wrong_shape';
    const out = names.map((name) => memberOf(there, name));
    if (out.some((value, at) => value !== undefined && members[at] !== undefined)) return 'place_taken';
    const rest = names.reduce((object, name) => withoutMember(object, name), there);
    const isEmpty = Object.keys(rest).length === 0;
    return [...out.map((value, at) => value ?? members[at]), isEmpty ? undefined : rest];
  };
  // An object that was there and empty, or whose members stood outside already, is what the inverse cannot tell.
  return { forward: isNest ? nest : hoist, back: isNest ? hoist : nest, isExact: false };
}

const wrap: Move = ([value]) => [value === undefined ? undefined : [value]];

const head: Move = ([value]) => {
  if (value === undefined) return [undefined];
  return isArray(value) ? [value[0]] : 'wrong_shape';
};

/** An edited head with the tail that was kept of the old array. */
const withTail: NonNullable<Kernel['merge']> = ([now], [kept]) => [
  isArray(now) && isArray(kept) ? [...now, ...kept.slice(1)] : now,
];

function eachPresent(convert: Convert): Move {
  return (slots) => {
    const converted = slots.map((value) => (value === undefined ? undefined : convert(value)));
    const isMissed = converted.some((value, at) => value === undefined && slots[at] !== undefined);
    return isMissed ? 'value_unmapped' : converted;
  };
}

/** Slots: the whole text, then its parts. */
function splitKernel(at: string, into: readonly string[], separator: string): Kernel {
  return {
    slots: [at, ...into].map(pointerToSegments),
    forward: ([value, ...there]) => {
      if (value === undefined) return [value, ...there];
      if (typeof value !== 'string') return 'wrong_shape';
      if (there.some((part) => part !== undefined)) return 'place_taken';
      const parts = value.split(separator);
      const rest = parts.slice(into.length - 1);
      return [undefined, ...into.map((_, index) => (index < into.length - 1 ? parts[index] : joined(rest)))];
    },
    back: ([value, ...parts]) => {
      if (parts.every((part) => part === undefined)) return [value, ...parts];
      if (value !== undefined) return 'place_taken';
      const present = parts.filter((part) => part !== undefined);
      if (!present.every((part) => typeof part === 'string')) return 'wrong_shape';
      return [present.join(separator), ...parts.map(() => undefined)];
    },
    isExact: false,
  };
  function joined(rest: readonly string[]): string | undefined {
    return rest.length === 0 ? undefined : rest.join(separator);
  }
}

/** Whether two readings of the slots are equal. */
export function equalSlots(left: Slots, right: Slots): boolean {
  return left.every((value, at) => equalJson(value, right[at]));
}
