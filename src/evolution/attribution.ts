/**
 * What becomes of rows that the record does not decide, as the bundle says it.
 *
 * | key | value |
 * |---|---|
 * | `schema.table` | `recompute`, `retire` or `keep` |
 * | `schema.table.column` | an SQL expression over the columns of the old row |
 */
export type Attribution = Readonly<Record<string, string>>;
