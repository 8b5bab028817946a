import { VarveError } from '../base/index.ts';

/** A definition that cannot stand, found while it is written: thrown, since there is no definition to go on with. */
export function definitionError(subject: string, found: string, hint: string): VarveError {
  return new VarveError('definition_invalid', { detail: { subject, found }, hint });
}
