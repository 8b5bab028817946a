/** Pieces of statements over one column of SQLite. */
import type { RowKey } from './document-table.ts';
import { quoted } from './sql-session.ts';

/** The column, and what identifies its rows. */
export interface Parts {
  readonly table: string;
  readonly source: string;
  readonly column: string;
  readonly keys: readonly { readonly name: string; readonly type: string }[];
  readonly names: readonly string[];
}

export function columnsIn({ keys, names }: Parts, alias: string): readonly string[] {
  return keys.map(({ name }, at) => (alias === 't' ? `t.${quoted(name)}` : `${alias}.${names[at] ?? ''}`));
}

export function keysOf(parts: Parts, alias: string): string {
  return columnsIn(parts, alias).join(', ');
}

/** The key as JSON, in which numbers stay numbers and text stays text. */
export function keyOf(parts: Parts, alias: string): string {
  return `json_array(${keysOf(parts, alias)})`;
}

export function sameKey(parts: Parts, left: string, right: string): string {
  const [a, b] = [columnsIn(parts, left), columnsIn(parts, right)];
  return a.map((each, at) => `${each} = ${b[at] ?? ''}`).join(' and ');
}

/** Rows behind a key, which `keyValues` gives the parameter of. */
export function behind(parts: Parts, alias: string, after: RowKey | undefined): string {
  if (after === undefined) return '';
  const values = parts.keys.map((_, at) => `json_extract(?1, '$[${at}]')`);
  return `and (${keysOf(parts, alias)}) > (${values.join(', ')})`;
}

export function keyValues(after: RowKey | undefined): readonly string[] {
  return after === undefined ? [] : [after];
}

/** A list of keys as rows `u`, from the parameter. */
export function keyList({ names }: Parts): string {
  const columns = names.map((name, at) => `json_extract(value, '$[${at}]') as ${name}`);
  return `(select ${columns.join(', ')} from json_each(?1)) u`;
}

/** The newest original of each document: where one was replaced twice, what stood there before the last time. */
export function newestOf(parts: Parts, kept: string, condition = ''): string {
  const newest = `select max(m.seq) from ${kept} m where ${sameKey(parts, 'm', 'k')}`;
  return `(select k.* from ${kept} k where k.seq = (${newest}) ${condition})`;
}

/** Every run of the file, with how far it is. */
export const WORK = 'varve_document_work';

/** The tables of a run, quoted. */
export interface WorkTables {
  readonly built: string;
  readonly kept: string;
  readonly left: string;
}

/** What is done at once, as the port has it. */
export function promised<T>(work: () => T): Promise<T> {
  return new Promise((settle) => {
    settle(work());
  });
}
