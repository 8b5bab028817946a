/** Effects that are so large that somebody has to have looked at them (M59); where that begins, a project may lower. */
import type { Finding } from '../../../base/index.ts';
import type { MigrationSettings } from '../../settings.ts';

/** An index that was built, and how many rows its table had before. */
export interface BuiltIndex {
  readonly table: string;
  readonly rows: number;
}

/** The findings, one a table. */
export function largeFindings(
  { large }: Pick<MigrationSettings, 'large'>,
  tables: readonly { readonly name: string; readonly rows: number }[],
  built: readonly BuiltIndex[],
): readonly Finding[] {
  const backfilled = tables
    .filter(({ rows }) => rows >= large.backfillRows)
    .map(({ name, rows }) =>
      wantsReview(
        'backfill_large',
        name,
        rows,
        'Write it in batches, and say under Stages and Monitoring how it goes.',
      ),
    );
  const byTable = new Map(built.map(({ table, rows }) => [table, rows]));
  const rebuilt = [...byTable]
    .filter(([, rows]) => rows >= large.indexRows)
    .map(([table, rows]) =>
      wantsReview(
        'index_rebuild_large',
        table,
        rows,
        'It takes long: build it CONCURRENTLY, as a phase of mode nontransactional, while there is room for it.',
      ),
    );
  return [...backfilled, ...rebuilt];
}

function wantsReview(
  code: 'backfill_large' | 'index_rebuild_large',
  subject: string,
  rows: number,
  hint: string,
): Finding {
  return { code, severity: 'review', subject, detail: { rows }, hint };
}
