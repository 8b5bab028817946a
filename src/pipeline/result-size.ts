import { HELD_BYTES } from './populate/batch-size.ts';

/** How many keys to make before their results are written: what a result takes shows only once there is one. */
export class ResultSize {
  /** Bytes of the largest mean result so far; 0: none is known. */
  #bytes = 0;

  next(slots: number): number {
    if (this.#bytes === 0) return Math.max(FIRST_RESULTS, slots);
    return Math.max(1, Math.floor(HELD_BYTES / this.#bytes));
  }

  learn(keys: number, bytes: number): void {
    if (keys > 0) this.#bytes = Math.max(bytes / keys, this.#bytes / 2, 1);
  }
}

const FIRST_RESULTS = 4;
