import { DDL_EFFECTS, type DdlAction, type LockMode } from './ddl-effect.ts';

/** What a statement does to one relation. */
export interface Effect {
  readonly action: DdlAction;
  /** As the statement names it. */
  readonly relation: string;
  /** The lock where the statement says it itself; else that of the action. */
  readonly lock?: LockMode;
  /** The column, constraint or index that it is about. */
  readonly what?: string;
  /** UTF-16 offset of the part of the statement that does it. */
  readonly at?: number;
  /** Whether the same bundle made the relation, so that nobody else waits for it. */
  readonly isNew: boolean;
}

/** The lock that an effect takes. */
export function lockOf({ action, lock }: Effect): LockMode {
  return lock ?? DDL_EFFECTS[action].lock;
}

/** `takes ACCESS EXCLUSIVE on geo.place and rewrites it`. */
export function effectText(effect: Effect): string {
  const { work } = DDL_EFFECTS[effect.action];
  const meanwhile = { none: '', scan: ' and reads all of it', rewrite: ' and rewrites it' }[work];
  return `takes ${lockOf(effect)} on ${effect.relation}${meanwhile}`;
}
