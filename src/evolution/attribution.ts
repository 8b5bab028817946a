import type { JsonObject } from '../base/index.ts';

/**
 * What becomes of rows that the record does not decide, as the bundle says it.
 *
 * | key | value |
 * |---|---|
 * | `schema.table` | `recompute`, `retire` or `keep`; or `rules/FILE#FUNCTION`, whose answers stand in `decisions.json` |
 * | `schema.table.column` | an SQL expression over the columns of the old row |
 */
export type Attribution = Readonly<Record<string, string>>;

/** What a function of the bundle said of ambiguous rows, by table. */
export type Decisions = Readonly<Record<string, readonly Decision[]>>;

/**
 * What became of one row when its rule was asked. It holds for the row as it was then: of one that was changed since,
 * nobody was asked.
 */
export interface Decision extends JsonObject {
  /** The old primary key. */
  readonly key: JsonObject;
  /** Digest of the old row. */
  readonly row: string;
  /** `recompute`, `retire`, or values of columns. */
  readonly is: string | JsonObject;
}

/** Whether a rule for a table is a function in a file of the bundle: `rules/attribute.ts#byParam`. */
export function isFunctionRule(rule: string | undefined): boolean {
  return rule !== undefined && /^rules\/[^#]+#[\p{L}_$][\p{L}\p{N}_$]*$/u.test(rule);
}

/** Whether rows may go to history by a rule, so that rows below have to be looked at. */
export function mayRetire(rule: string | undefined): boolean {
  return rule === 'retire' || isFunctionRule(rule);
}
