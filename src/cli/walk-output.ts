import type { Finding } from '../base/index.ts';
import type { WalkOutcome } from '../provenance/index.ts';
import { countText, tableText, type CommandResult, type Style } from './output.ts';

/** The result of a trace or cascade: tables, rows, and the edges they were reached by. */
export function walkResult(outcome: WalkOutcome): CommandResult {
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { table, rows, tables } = outcome;
  return {
    status: 'ok',
    fields: { table, rows, tables },
    text: (style) =>
      tableText(
        style,
        [{ head: 'table' }, { head: 'rows', align: 'right' }, { head: 'reached by' }],
        tables.map((line) => [
          line.table === table ? style('cyan', line.table) : line.table,
          line.rows === 0 ? style('dim', '0') : countText(line.rows),
          reachedBy(style, line.table === table && line.via.length === 0, line.via),
        ]),
      ),
  };
}

function reachedBy(style: Style, isStart: boolean, via: readonly { readonly edge: string }[]): string {
  return isStart ? style('dim', 'start') : via.map(({ edge }) => edge).join(', ');
}

/** A refusal by findings. */
export function refusedResult(findings: readonly Finding[]): CommandResult {
  return { status: 'refused', findings };
}
