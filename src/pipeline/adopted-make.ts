import { refusal, VarveError, type Finding } from '../base/index.ts';
import type { AnyMake, AnyTable } from './table.ts';

/** The make of a table whose rows another program computed, before anybody told varve how. */
export interface AdoptedMake {
  (inputs: unknown, context: unknown): never;
  readonly isUnknown: true;
}

/**
 * Stands for a make that varve does not know: what `varve adopt` writes for a computed table. Its rows stay as they are,
 * and populate leaves the table out until it has a make of its own.
 *
 * Errors: calling it throws `make_unknown`.
 */
export function adopted(): AdoptedMake {
  const make = (): never => {
    throw new VarveError('make_unknown', { hint: HINT });
  };
  return Object.freeze(Object.assign(make, { isUnknown: true as const }));
}

const HINT =
  "Give this table a make: a function, or an outside program, as in `make: command(['python3', '-m', 'lab.make'])`.";

/** Whether nobody told yet how the rows of a table come about. */
export function isMakeUnknown({ definition }: AnyTable): boolean {
  const make: AnyMake | undefined = definition.make;
  return make !== undefined && 'isUnknown' in make;
}

/** What to do about a table that cannot be computed for that reason. */
export function makeUnknown({ spec }: AnyTable, severity: 'error' | 'warning'): Finding {
  return { ...refusal('make_unknown', spec.name, { hint: HINT }), severity };
}
