import { join } from 'node:path';
import {
  canonicalJson,
  refusal,
  VarveError,
  type Finding,
  type Json,
  type JsonObject,
} from '../base/index.ts';
import {
  canonicalBytes,
  fromBase64,
  HEAD_TYPE,
  holdAgainstHead,
  isEnvelope,
  ledgerHead,
  readChain,
  sealEnvelope,
  sha256,
  validateSchema,
  type ChainHead,
  type ChainLine,
  type Envelope,
  type LedgerHead,
} from '../evidence/index.ts';
import { writeDurable } from './durable.ts';
import type { RunnerOptions } from './environment.ts';
import { readIfThere } from './evidence-store.ts';
import type { EnvironmentName } from './settings.ts';
import { parseStrictJson } from './strict-json.ts';
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

/**
 * Brings the file up to the database's entries and signs its head, or says how the two differ.
 *
 * A file that is shorter than its head says was cut: it is filled up again from the database, and that is told (M121).
 *
 * Errors: throws `ledger_broken`.
 */
export async function syncLedgerFile(
  options: Pick<RunnerOptions, 'root' | 'environment' | 'signer'>,
  entries: readonly LedgerEntry[],
): Promise<LedgerFileState> {
  const { root, environment } = options;
  const path = ledgerPath(environment);
  const lines = await readLedgerFile(root, path);
  const missing = missingEntries(lines, entries);
  const whole = missing === undefined ? lines : [...lines, ...missing];
  const cut = await cutFindings(root, path, lines, whole);
  if (missing === undefined || cut.some(({ severity }) => severity === 'error')) {
    const fork = missing === undefined ? [forkFinding(path, environment, lines, entries)] : cut;
    if (environment !== 'dev') return { path, findings: fork };
    const own = `evidence/ledger/${environment}-${entries[0]?.digest.slice('sha256:'.length, 15) ?? ''}.jsonl`;
    await writeLines(options, own, entries);
    return { path: own, findings: fork.map((finding) => ({ ...finding, severity: 'warning' })) };
  }
  await writeLines(options, path, whole, missing.length > 0);
  return { path, findings: cut };
}

/** What the head beside a file says of it: nothing, that it was cut, or that it is another history. */
async function cutFindings(
  root: string,
  path: string,
  lines: readonly ChainLine[],
  whole: readonly ChainLine[],
): Promise<readonly Finding[]> {
  const head = await keptHead(root, path);
  if (head === undefined) return [];
  const now = holdAgainstHead(lines, head);
  if (now.status === 'same' || now.status === 'grown') return [];
  const filled = holdAgainstHead(whole, head);
  const isFilled = filled.status === 'same' || filled.status === 'grown';
  const seq = now.status === 'tail_lost' ? now.seq : (lines[0]?.seq ?? 0);
  return [
    {
      code: 'ledger_fork',
      severity: isFilled ? 'warning' : 'error',
      subject: `${path}:${String(seq)}`,
      detail: {
        environment: head.environment,
        seq,
        reason: now.status,
        fileHead: lines.at(-1)?.seq ?? 0,
        head: head.seq,
      },
      hint: isFilled
        ? 'Lines of this file were cut off; they were written again from the database. Look for who cut them.'
        : 'This file ends before its head, and the database does not have the rest: restore the database, or take the file back from version control.',
    },
  ];
}

/** The head as it was written last. Whose signature it bears is a matter of verification, not of running. */
async function keptHead(root: string, path: string): Promise<LedgerHead | undefined> {
  const bytes = await readIfThere(join(root, headPath(path)));
  if (bytes === undefined) return undefined;
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  const value = 'value' in parsed ? parsed.value : null;
  const head = isObject(value) && isEnvelope(value) ? enclosed(value) : value;
  return (await validateSchema('ledger_head.v1', head)).length === 0 ? (head as LedgerHead) : undefined;
}

function enclosed({ payload }: Envelope): Json {
  const bytes = fromBase64(payload);
  const parsed = parseStrictJson(new TextDecoder().decode(bytes ?? new Uint8Array()));
  return 'value' in parsed ? parsed.value : null;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where the head of a ledger file lies. */
function headPath(path: string): string {
  return path.replace(/\.jsonl$/u, '.head.json');
}

function ledgerPath(environment: EnvironmentName): string {
  return `evidence/ledger/${environment}.jsonl`;
}

/** The lines of a ledger file, by its path under `root`; none where it is not there. Errors: throws `ledger_broken`. */
export async function readLedgerFile(root: string, path: string): Promise<readonly ChainLine[]> {
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

/** The lines first, so that a kill in between leaves a head that is behind, and is made up for. */
async function writeLines(
  { root, environment, signer }: Pick<RunnerOptions, 'root' | 'environment' | 'signer'>,
  path: string,
  lines: readonly ChainLine[],
  isChanged = true,
): Promise<void> {
  const head = ledgerHead(environment, lines);
  if (head === undefined) return;
  const text = lines.map((line) => `${canonicalJson(line)}\n`).join('');
  if (isChanged) await writeDurable(join(root, path), new TextEncoder().encode(text));
  // Ed25519 signs the same head the same way, so that a head which is as it should be is left alone.
  const bytes = canonicalBytes(signer === undefined ? head : await sealEnvelope(HEAD_TYPE, head, signer));
  const there = await readIfThere(join(root, headPath(path)));
  const isSigned = there !== undefined && (await isHeadOf(there, head));
  if (isSigned && signer === undefined) return;
  if (there === undefined || sha256(there) !== sha256(bytes))
    await writeDurable(join(root, headPath(path)), bytes);
}

/** Whether a head's file speaks of this head, signed or not: without a key, a signature that stands is not taken away. */
async function isHeadOf(bytes: Uint8Array, head: LedgerHead): Promise<boolean> {
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed || !isObject(parsed.value)) return false;
  const found = isEnvelope(parsed.value) ? enclosed(parsed.value) : parsed.value;
  return canonicalJson(found) === canonicalJson(head);
}
