import { sql, type Sql } from './sql.ts';

/**
 * Ends a subquery that is not to be merged with what is around it: what it computes is then computed once for each row.
 *
 * The bare word `offset 0` says the same, but its 0 becomes a bigint only after PostgreSQL has asked whether something may be
 * skipped; then no other process of the server takes part in the work above such a subquery.
 */
export const UNMERGED: Sql = sql.raw(`offset bigint '0'`);
