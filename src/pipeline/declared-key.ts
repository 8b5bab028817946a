import type { ForeignKeySpec } from './spec.ts';
import type { AnyReference, Parent } from './table.ts';

/** A foreign key with the object that declared it, by which reads find it. */
export interface DeclaredKey {
  readonly spec: ForeignKeySpec;
  readonly declared: Parent;
  readonly reference: AnyReference;
}
