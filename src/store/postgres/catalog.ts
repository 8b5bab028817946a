/**
 * The installer of varve's own catalog: schema `varve`, made by the numbered files of `sql/`.
 *
 * Files are ordered and append-only: what was applied is recorded with its digest in `varve.catalog_file`, and a file
 * that changed, vanished or came in between afterwards is refused. Each file runs in a transaction of its own, together
 * with its record, under an advisory lock; of two processes that install at once, one waits and finds nothing left to do.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { VarveError } from '../../base/index.ts';
import { sql } from '../sql.ts';
import { isStoreError } from '../store-error.ts';
import type { Queryable, Store, Transaction } from '../store.ts';

/**
 * One file of `sql/`.
 *
 * Shape: `{ number: 1, name: '0001_catalog.sql', text: 'create table ...' }`
 */
export interface CatalogFile {
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

/** What an installation did. */
export interface CatalogInstallation {
  /** Names of the files that were applied now; empty when the catalog was up to date. */
  readonly applied: readonly string[];
}

/**
 * Brings the catalog of a store up to this release. One that is up to date costs one query.
 *
 * Errors: throws `catalog_mismatch` when what was applied is not what these files begin with; nothing is changed then.
 */
export async function installCatalog(
  store: Store,
  options: { readonly files: readonly CatalogFile[] },
): Promise<CatalogInstallation> {
  const { files } = options;
  const names: string[] = [];
  let [next] = pendingFiles(files, await readApplied(store));
  while (next !== undefined) {
    const step = await store.transaction({ lockTimeoutMs: 60_000 }, (transaction) =>
      applyNext(transaction, files),
    );
    if (step.name !== undefined) names.push(step.name);
    next = step.next;
  }
  return { applied: names };
}

/**
 * The files that this release would still apply to a store; writes nothing. All of them where there is no catalog at all.
 *
 * Errors: throws `catalog_mismatch` as `installCatalog` does.
 */
export async function pendingCatalogFiles(
  store: Queryable,
  options: { readonly files: readonly CatalogFile[] },
): Promise<readonly string[]> {
  return pendingFiles(options.files, await readApplied(store)).map(({ name }) => name);
}

/** The files of the package's `sql/` in order; the same from `src/` and from `dist/`, which lie side by side. */
export async function readCatalogFiles(
  folder: URL = new URL('../../../sql/', import.meta.url),
): Promise<readonly CatalogFile[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).toSorted();
  return await Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      // A checkout may turn line ends; the digest must not depend on it.
      return { number: Number(name.slice(0, 4)), name, text: text.replaceAll('\r\n', '\n') };
    }),
  );
}

type AppliedFile = Readonly<{ number: number; name: string; digest: string }>;

/** Under the lock, since another process may have gone ahead: reads again, and applies the first file that is due. */
async function applyNext(
  transaction: Transaction,
  files: readonly CatalogFile[],
): Promise<{ readonly name?: string; readonly next: CatalogFile | undefined }> {
  await transaction.query(sql`select pg_advisory_xact_lock(hashtextextended('varve:catalog', 0))::text`);
  // Reading a catalog table makes the session take notice of what the process before it did while it waited; CREATE ...
  // IF NOT EXISTS alone would trust what the session remembers, and fail with 23505.
  await transaction.query(sql`select from pg_catalog.pg_namespace where nspname = 'varve'`);
  await transaction.script(BOOTSTRAP);
  const [file, next] = pendingFiles(files, await readApplied(transaction));
  if (file === undefined) return { next };
  await transaction.script(file.text);
  await transaction.execute(sql`
    insert into varve.catalog_file (number, name, digest)
    values (${file.number}, ${file.name}, ${digestOf(file)})`);
  return { name: file.name, next };
}

const BOOTSTRAP = `
  set local client_min_messages = warning;
  create schema if not exists varve;
  create table if not exists varve.catalog_file (
    number integer primary key,
    name text not null,
    digest text not null,
    applied_at timestamptz not null default now()
  )`;

async function readApplied(queryable: Queryable): Promise<readonly AppliedFile[]> {
  try {
    return await queryable.query<AppliedFile>(
      sql`select number, name, digest from varve.catalog_file order by number`,
    );
  } catch (error) {
    // No such table or schema: nothing is installed yet.
    if (isStoreError(error, '42P01', '3F000')) return [];
    throw error;
  }
}

/** The files that are still to be applied; throws when the applied ones are not the beginning of the list. */
function pendingFiles(
  files: readonly CatalogFile[],
  applied: readonly AppliedFile[],
): readonly CatalogFile[] {
  const fileByNumber = new Map(files.map((file) => [file.number, file]));
  const newest = Math.max(0, ...fileByNumber.keys());
  for (const { number, name, digest } of applied) {
    const file = fileByNumber.get(number);
    if (file === undefined) throw mismatch(name, number > newest ? 'newer' : 'missing');
    if (file.name !== name || digestOf(file) !== digest) throw mismatch(name, 'changed');
  }
  const pending = files.filter(({ number }) => !applied.some((one) => one.number === number));
  const last = applied.at(-1)?.number ?? 0;
  const late = pending.find(({ number }) => number < last);
  if (late !== undefined) throw mismatch(late.name, 'out_of_order');
  return pending.toSorted((left, right) => left.number - right.number);
}

function digestOf(file: CatalogFile): string {
  return `sha256:${createHash('sha256').update(file.text).digest('hex')}`;
}

const HINTS = {
  newer: 'Upgrade varve: this database was set up by a later release.',
  missing: 'Use the release of varve that this database was set up with, or a later one.',
  changed: 'Restore the file as it was released; write changes into a new file with the next number.',
  out_of_order: 'Give the file the next number after those already applied.',
} as const;

function mismatch(file: string, problem: keyof typeof HINTS): VarveError {
  return new VarveError('catalog_mismatch', { detail: { file, problem }, hint: HINTS[problem] });
}
