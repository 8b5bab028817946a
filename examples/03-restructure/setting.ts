// What both stories do beside telling: rows of people, ids of plans, counts by class.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage } from '../01-supply-chain/stage.ts';

/** Where a story is told. */
export interface Setting {
  readonly project: string;
  /** A store of the project's configuration; default: the embedded one. */
  readonly store: string | undefined;
}

/** Rows that people bring, by `varve insert`. */
export async function bring(
  { varve }: Stage,
  { project }: Setting,
  table: string,
  rows: readonly object[],
): Promise<void> {
  await writeFile(join(project, 'rows.json'), JSON.stringify(rows));
  await varve(['insert', table, '--file', 'rows.json', '--source', 'a list']);
}

/** The id of the migration that a plan is about. */
export function idOf(planned: string): string {
  return /PIPE-MIG-[\d-]+/.exec(planned)?.[0] ?? '';
}

/** The rows of a table by class, as a plan or a run prints them; a class without a column is empty. */
export function classesOf(output: string, table: string): Readonly<Record<string, number>> {
  const lines = output.split('\n');
  const head = lines.find((line) => line.startsWith('table '))?.split(/\s+/) ?? [];
  const cells = lines.find((line) => line.startsWith(`${table} `))?.split(/\s+/) ?? [];
  const entries = head
    .slice(1)
    .map((name, index): [string, number] => [name, Number(cells[index + 1]?.replaceAll(',', ''))]);
  return Object.fromEntries(entries.filter(([name, rows]) => name !== '' && rows > 0));
}

/** Whether a table's rows are in these classes and in no others. */
export function isSorted(output: string, table: string, wanted: Readonly<Record<string, number>>): boolean {
  return JSON.stringify(classesOf(output, table)) === JSON.stringify(wanted);
}
