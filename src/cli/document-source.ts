/** Where documents are, as a command line names it. */
import { relative, resolve } from 'node:path';
import { VarveError, type Finding } from '../base/index.ts';
import type { Corpus, Result } from '../document/index.ts';
import {
  postgresTable,
  readCorpus,
  readTable,
  sqliteTable,
  type DocumentTable,
} from '../document/edge/index.ts';
import type { ColumnSource, Source, SqliteSource } from '../migration/kind/document/index.ts';
import type { Context } from './context.ts';

export const NAME_COLUMN = '--column schema.table.column or FILE#table.column';

/** What names the documents of a migration. */
export interface SourceFlags {
  readonly column?: string;
  readonly in?: string;
  readonly out?: string;
  readonly lazy?: true;
}

/** The documents of a file, a folder, or a column of the store. */
export async function corpusOf(
  context: Context,
  input: string | undefined,
  column: string | undefined,
  mostBytes: number,
): Promise<{ readonly documents: Corpus } | { readonly findings: readonly Finding[] }> {
  if (column === undefined && input !== undefined)
    return { documents: readCorpus(resolve(context.io.workingDir, input), mostBytes) };
  if (column === undefined || input !== undefined) {
    throw new VarveError('usage', { hint: `Give a file or folder, or ${NAME_COLUMN}.` });
  }
  const source = columnSource(column, (file) => resolve(context.io.workingDir, file));
  const table = await tableOf(context, source);
  return table.status === 'ok' ? { documents: readTable(table.value) } : { findings: table.findings };
}

async function tableOf(
  context: Context,
  source: ColumnSource | SqliteSource,
): Promise<Result<DocumentTable>> {
  // It is open until the process ends, since it is read page by page.
  if (source.kind === 'sqlite') return sqliteTable(source);
  const { sqlStoreOf } = await import('./document-store.ts');
  const [schema = '', table = ''] = source.table.split('.');
  return postgresTable(sqlStoreOf(await context.store()), { schema, table, column: source.column });
}

function columnSource(name: string, pathOf: (file: string) => string): ColumnSource | SqliteSource {
  const hash = name.lastIndexOf('#');
  const [first, second, third, ...rest] = name.slice(hash + 1).split('.');
  if (first !== undefined && second !== undefined && rest.length === 0) {
    if (hash > 0 && third === undefined)
      return { kind: 'sqlite', file: pathOf(name.slice(0, hash)), table: first, column: second };
    if (hash < 0 && third !== undefined)
      return { kind: 'column', table: `${first}.${second}`, column: third };
  }
  throw new VarveError('usage', { hint: `Write ${NAME_COLUMN}.` });
}

/** The documents that a migration is wanted of; paths as a bundle has them, from the folder of the project. */
export function sourceOf(context: Context, flags: SourceFlags): Source | undefined {
  const { column, in: input, out } = flags;
  if (column === undefined && input === undefined && out === undefined) return undefined;
  if ((column === undefined) === (input === undefined && out === undefined)) {
    throw new VarveError('usage', { hint: `Give ${NAME_COLUMN}, or --in and --out, not both.` });
  }
  if (column !== undefined) return columnSource(column, (file) => fromProject(context, file));
  if (input === undefined || out === undefined || flags.lazy === true) {
    throw new VarveError('usage', {
      hint: 'Give --in and --out, and no --lazy: nobody writes back to a file.',
    });
  }
  return { kind: 'files', from: fromProject(context, input), to: fromProject(context, out) };
}

function fromProject({ io, options }: Context, path: string): string {
  const projectDir = resolve(io.workingDir, options.project ?? '.');
  return relative(projectDir, resolve(io.workingDir, path)).replaceAll('\\', '/') || '.';
}
