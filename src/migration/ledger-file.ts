import { join } from 'node:path';
import { canonicalJson, refusal, VarveError, type Finding } from '../base/index.ts';
import { readChain, type ChainHead, type ChainLine } from '../evidence/index.ts';
import { writeDurable } from './durable.ts';
import type { EnvironmentName } from './settings.ts';
import { readIfThere } from './evidence-store.ts';
import type { LedgerEntry } from './ledger.ts';

/**
 * The ledger of an environment as a file, `evidence/ledger/<env>.jsonl`: the same chain as in its database.
 *
 * | file | database | then |
 * |---|---|---|
 * | head is an entry of the database | has more | the rest is appended |
 * | any | empty | a first run continues the file's chain |
 * | goes on after the database's head | an old copy | fork |
 * | neither knows the other's head | another database of this environment, or a changed one | fork |
 *
 * A fork is refused in stage and prod. In dev, where everybody has a database of their own, each chain has its own
 * file, `<env>-<first 8 digits of its first entry>.jsonl`, and a warning tells.
 */
export interface LedgerFileState {
  readonly path: string;
  readonly findings: readonly Finding[];
}

/** Where the file's chain stands, for the first entry of a new database. Errors: throws `ledger_broken`. */
export async function ledgerFileHead(
  root: string,
  environment: EnvironmentName,
): Promise<ChainHead | undefined> {
  return (await readLedgerFile(root, ledgerPath(environment))).at(-1);
}

/** Brings the file up to the database's entries, or says how the two differ. Errors: throws `ledger_broken`. */
export async function syncLedgerFile(
  root: string,
  environment: EnvironmentName,
  entries: readonly LedgerEntry[],
): Promise<LedgerFileState> {
  const path = ledgerPath(environment);
  const lines = await readLedgerFile(root, path);
  const missing = missingEntries(lines, entries);
  if (missing !== undefined) {
    if (missing.length > 0) await writeLines(root, path, [...lines, ...missing]);
    return { path, findings: [] };
  }
  const fork = forkFinding(path, environment, lines, entries);
  if (environment !== 'dev') return { path, findings: [fork] };
  const own = `evidence/ledger/${environment}-${entries[0]?.digest.slice('sha256:'.length, 15) ?? ''}.jsonl`;
  await writeLines(root, own, entries);
  return { path: own, findings: [fork] };
}

function ledgerPath(environment: EnvironmentName): string {
  return `evidence/ledger/${environment}.jsonl`;
}

async function readLedgerFile(root: string, path: string): Promise<readonly ChainLine[]> {
  const bytes = await readIfThere(join(root, path));
  const { lines, broken } = readChain(new TextDecoder().decode(bytes ?? new Uint8Array()));
  if (broken === undefined) return lines;
  throw new VarveError('ledger_broken', {
    detail: { path, line: broken.line, reason: broken.reason },
    hint: 'Take this file back from version control; the database holds the entries that are missing then.',
  });
}

/** What the file lacks of the database's entries; undefined for a fork. */
function missingEntries(
  lines: readonly ChainLine[],
  entries: readonly LedgerEntry[],
): readonly LedgerEntry[] | undefined {
  const head = lines.at(-1);
  if (head === undefined || entries.length === 0) return entries;
  const known = entries.findIndex(({ digest }) => digest === head.digest);
  if (known >= 0) return entries.slice(known + 1);
  return entries[0]?.prev === head.digest ? entries : undefined;
}

function forkFinding(
  path: string,
  environment: EnvironmentName,
  lines: readonly ChainLine[],
  entries: readonly LedgerEntry[],
): Finding {
  const known = new Set(entries.map(({ digest }) => digest));
  const first =
    lines.find(({ digest, seq }) => !known.has(digest) && seq >= (entries[0]?.seq ?? 0)) ?? lines.at(-1);
  const found = refusal('ledger_fork', `${path}:${String(first?.seq ?? 0)}`, {
    detail: {
      environment,
      seq: first?.seq ?? 0,
      fileHead: lines.at(-1)?.seq ?? 0,
      databaseHead: entries.at(-1)?.seq ?? 0,
    },
    hint: 'The database is an old copy or another one. Restore the right one, or give this one an environment of its own.',
  });
  return environment === 'dev' ? { ...found, severity: 'warning' } : found;
}

async function writeLines(root: string, path: string, lines: readonly ChainLine[]): Promise<void> {
  const text = lines.map((line) => `${canonicalJson(line)}\n`).join('');
  await writeDurable(join(root, path), new TextEncoder().encode(text));
}
