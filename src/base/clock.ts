/** Time as an argument: product code never reads the machine's clock by itself. */
export interface Clock {
  /** Wall clock, milliseconds since 1970 UTC. May jump. */
  readonly nowMs: () => number;
  /** Monotonic milliseconds from an arbitrary start: for durations. */
  readonly monotonicMs: () => number;
}

/** The machine's own clock, for the composition roots. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** ISO 8601 UTC text with milliseconds. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
