import { isoTime } from '../base/index.ts';
import type { Model } from './model.ts';
import type { StepWorld } from './run-step.ts';

/** What the steps of one run are given; the clock is read once, if at all. */
export function startWorld(model: Model, now: string | undefined): StepWorld {
  return {
    name: model.name,
    field: model.field,
    now: now ?? isoTime(model.clock.nowMs()),
    depth: model.limits.depth,
    snapshot: (version) => model.versions.get(version)?.snapshot,
  };
}
