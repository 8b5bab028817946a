/** What somebody may say of the ambiguous rows of a table: only what would decide over them is offered. */
import type { TableSpec } from '../../pipeline/index.ts';
import type { Rebuild } from '../operation/operation.ts';

/** The rules after `--attribute` that may settle such rows, in words: `a, b, or c`. */
export function choicesOf(
  table: string,
  spec: Pick<TableSpec, 'form' | 'master'> | undefined,
  operation: Pick<Rebuild, 'from'> | undefined,
): string {
  const isMade = spec?.form !== undefined || spec?.master !== undefined;
  // In a merge it is the partner that is missing, and no value of one column stands for a row.
  const isMerge = (operation?.from.length ?? 0) > 1;
  const choices = [
    ...(isMade ? [`${table}=recompute`] : []),
    `${table}=retire`,
    isMerge ? `${table}=keep where what a row lacks may be empty` : `--attribute ${table}.COLUMN=EXPRESSION`,
  ];
  const comma = choices.length > 2 ? ',' : '';
  return `--attribute ${choices.slice(0, -1).join(', ')}${comma} or ${choices.at(-1) ?? ''}`;
}
