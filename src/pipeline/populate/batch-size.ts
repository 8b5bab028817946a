/**
 * How many keys to take at once: as many as fill about a second, and no more than memory has room for.
 *
 * A batch costs some milliseconds whatever it holds, so trivial makes want thousands of keys; a make that takes minutes
 * wants one key, so that others find something to do, progress moves, and an interruption ends soon.
 */

/** What a batch took. */
export interface BatchCost {
  readonly keys: number;
  readonly elapsedMs: number;
  /** Of its inputs and results, about. */
  readonly bytes: number;
}

/** Bounds of a batch. */
export interface BatchBounds {
  /** No fewer keys, so that every slot of the runner has one. */
  readonly least: number;
  readonly most: number;
}

const TARGET_MS = 1000;
/** Of inputs, and of results, that are held at once; the texts and copies that a statement needs come on top of it. */
export const HELD_BYTES: number = 16 * 2 ** 20;
/** How much a batch may grow by: a few keys tell little about thousands. */
const GROWTH = 4;

/** The size of the next batch after one of `size` keys. */
export function nextBatchSize(size: number, cost: BatchCost, bounds: BatchBounds): number {
  if (cost.keys === 0) return size;
  const byTime = (size * TARGET_MS) / Math.max(cost.elapsedMs, 1);
  const byMemory = (HELD_BYTES * cost.keys) / Math.max(cost.bytes, 1);
  const wanted = Math.min(size * GROWTH, Math.max(byTime, bounds.least), byMemory, bounds.most);
  return Math.max(1, Math.floor(wanted));
}

/** About how many bytes a value takes; of a long list a sample stands for the rest. */
export function roughBytes(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (Array.isArray(value)) return roughBytesOfList(value);
  let bytes = 16;
  for (const each of Object.values(value)) bytes += 8 + roughBytes(each);
  return bytes;
}

const SAMPLE = 16;

function roughBytesOfList(list: readonly unknown[]): number {
  if (list.length <= SAMPLE) return list.reduce<number>((sum, each) => sum + roughBytes(each), 16);
  const step = list.length / SAMPLE;
  let bytes = 0;
  for (let index = 0; index < SAMPLE; index += 1) bytes += roughBytes(list[Math.floor(index * step)]);
  return (bytes * list.length) / SAMPLE;
}
