/**
 * Watches what a code step asks beside its document: it is run twice, under another clock and other randomness, and both
 * runs must ask nothing and give the same.
 *
 * The parts of the platform that answer such questions are replaced while the step runs, which is at once: a step that
 * waits is refused anyway. A time zone is not changed but noticed: by the calls whose answer depends on it.
 */
import { runStep, type Ledger, type StepWorld } from './run-step.ts';
import type { Edge } from './step.ts';
import type { Json } from '../base/index.ts';
import { isObject } from './value.ts';

/** What a step asked that is none of its business. */
export type ImpureCall = 'clock' | 'randomness' | 'time zone' | 'other result';

const ZONED = [
  'getDate',
  'getDay',
  'getFullYear',
  'getHours',
  'getMinutes',
  'getMonth',
  'getTimezoneOffset',
  'toDateString',
  'toLocaleDateString',
  'toLocaleString',
  'toLocaleTimeString',
  'toString',
  'toTimeString',
] as const;

/** What the code step asked; nothing for one that is pure. */
export function impureCalls(edge: Edge, document: Json, world: StepWorld): readonly ImpureCall[] {
  const calls = new Set<ImpureCall>();
  const texts = [1, 2].map((run) => {
    const result = watched(calls, run, () => runStep(edge, frozen(document), world, emptyLedger()));
    return JSON.stringify(result);
  });
  if (texts[0] !== texts[1]) calls.add('other result');
  return [...calls];
}

function emptyLedger(): Ledger {
  return { found: new Map(), kept: [], stale: [], assumed: [] };
}

/** A step that writes into its document fails on this one. */
function frozen(value: Json): Json {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const member of isObject(value) ? Object.values(value) : value) frozen(member);
  return Object.freeze(value);
}

function watched<V>(calls: Set<ImpureCall>, run: number, work: () => V): V {
  const undo = [
    replaced(globalThis, 'Date', watchedDate(calls, run)),
    replaced(Math, 'random', () => {
      calls.add('randomness');
      return run / 4;
    }),
    replaced(globalThis.crypto, 'getRandomValues', (array: Uint8Array) => {
      calls.add('randomness');
      return array.fill(run);
    }),
    replaced(globalThis.crypto, 'randomUUID', () => {
      calls.add('randomness');
      return `00000000-0000-4000-8000-00000000000${run}`;
    }),
    replaced(globalThis.performance, 'now', () => {
      calls.add('clock');
      return run;
    }),
    ...ZONED.map((name) => noticed(name, calls)),
  ];
  try {
    return work();
  } finally {
    for (const restore of undo.toReversed()) restore();
  }
}

function replaced(target: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  };
}

function noticed(name: (typeof ZONED)[number], calls: Set<ImpureCall>): () => void {
  const original = Reflect.get(Date.prototype, name) as (...args: readonly unknown[]) => unknown;
  return replaced(Date.prototype, name, function zoned(this: Date, ...args: readonly unknown[]) {
    calls.add('time zone');
    return Reflect.apply(original, this, args);
  });
}

/** A date of given parts is a value; one of none is a look at the clock. */
function watchedDate(calls: Set<ImpureCall>, run: number): DateConstructor {
  const now = Date.UTC(2000 + run, 0, 1);
  const readClock = (): number => {
    calls.add('clock');
    return now;
  };
  return new Proxy(Date, {
    construct: (target, args: readonly unknown[]) =>
      Reflect.construct(target, args.length === 0 ? [readClock()] : args) as Date,
    apply: (target) => new target(readClock()).toUTCString(),
    get: (target, name) => (name === 'now' ? readClock : (Reflect.get(target, name) as unknown)),
  });
}
