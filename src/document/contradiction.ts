import type { Finding } from '../base/index.ts';
import type { Model } from './model.ts';
import type { Step } from './step.ts';

/** Snapshots that say something else than the steps that lead to them. */
export function contradictions(_model: Model, _steps: readonly Step[]): readonly Finding[] {
  return [];
}
