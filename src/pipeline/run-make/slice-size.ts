/** How long a slice ought to take: long beside a message (some 0.1 ms), short beside a person's patience with Ctrl-C. */
const SLICE_MS = 50;
/** So much work is not divided further for the sake of an even end. */
const LEAST_MS = 4;
/** Bounds what one message holds. */
const MOST_KEYS = 2000;

/** How many keys of a table go into one slice, by what its keys took so far. Begins with one key and grows fast. */
export class SliceSize {
  #keyMs: number | undefined;
  #last = 1;

  /** For this many keys that are left, over so many slots. */
  next(left: number, slots: number): number {
    const keyMs = this.#keyMs;
    if (keyMs === undefined) return 1;
    const fair = Math.max(Math.ceil(left / (2 * slots)), Math.ceil(LEAST_MS / keyMs));
    return Math.max(1, Math.min(Math.floor(SLICE_MS / keyMs), this.#last * 8, MOST_KEYS, fair, left));
  }

  /** What a slice took. */
  took(keys: number, durationMs: number): void {
    if (keys === 0) return;
    const keyMs = Math.max(durationMs / keys, 0.0005);
    this.#keyMs = this.#keyMs === undefined ? keyMs : (this.#keyMs + keyMs) / 2;
    this.#last = Math.max(1, keys);
  }

  /** After a host ended: what must be run again is to be less next time. */
  shrink(): void {
    this.#last = Math.max(1, Math.floor(this.#last / 16));
  }
}
