import { NO_COUNTS, type BatchCounts } from '../../batch.ts';
import type { BuiltDocument } from './document-table.ts';

/** A line of the count of what was built. */
export type CountRow = {
  readonly status: BuiltDocument['status'];
  readonly path: string | null;
  readonly documents: number;
  readonly lossy: number;
  readonly assumed: number;
};

/** The sums of such lines. */
export function countsOf(rows: readonly CountRow[]): BatchCounts {
  return rows.reduce<BatchCounts>(
    (sum, { status, path, documents, lossy, assumed }) => ({
      ...sum,
      documents: sum.documents + documents,
      [status]: sum[status] + documents,
      byPath: path === null ? sum.byPath : { ...sum.byPath, [path]: (sum.byPath[path] ?? 0) + documents },
      lossy: sum.lossy + lossy,
      assumed: sum.assumed + assumed,
    }),
    NO_COUNTS,
  );
}
