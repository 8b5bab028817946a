import { systemClock, type Clock } from '../../src/base/index.ts';

/** A clock that stands at an instant; durations go on. */
export function fixedClock(at: string): Clock {
  return { ...systemClock, nowMs: () => Date.parse(at) };
}
