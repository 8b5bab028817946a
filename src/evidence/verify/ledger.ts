import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { readChain, type ChainLine } from '../chain.ts';
import type { Digest } from '../digest.ts';
import { holdAgainstHead, readHead, type HeadReading } from '../ledger-head.ts';
import { missing, parseObject, readText, schemaFindings, type Evidence } from './file.ts';

/** The ledgers that were read, with what is wrong with them. */
export interface Ledgers {
  readonly lines: readonly ChainLine[];
  readonly files: ReadonlyMap<string, readonly ChainLine[]>;
  readonly findings: readonly Finding[];
}

const LEDGER_PATH = /^evidence\/ledger\/([a-z]+)(?:-[0-9a-f]+)?\.(jsonl|head\.json)$/u;

/** Reads every ledger: its chain, its schema, its environment, the order of its times, its signed head. */
export async function readLedgers(evidence: Evidence): Promise<Ledgers> {
  const { reader, files } = evidence;
  const lines: ChainLine[] = [];
  const linesByPath = new Map<string, readonly ChainLine[]>();
  const findings: Finding[] = [];
  for (const path of files.filter((file) => file.startsWith('evidence/ledger/'))) {
    const match = LEDGER_PATH.exec(path);
    if (match === null) findings.push(strange(path));
    if (match?.[2] !== 'jsonl') continue;
    const reading = readChain(await readText(reader, path));
    lines.push(...reading.lines);
    linesByPath.set(path, reading.lines);
    if (reading.broken !== undefined) findings.push(brokenChain('ledger_broken', path, reading.broken));
    for (const [index, line] of reading.lines.entries()) {
      findings.push(...(await schemaFindings('ledger_entry.v1', line, `${path}:${line.seq}`)));
      const reason = lineFault(line, reading.lines[index - 1], match[1] ?? '');
      if (reason !== undefined)
        findings.push(brokenChain('ledger_broken', path, { line: index + 1, reason }));
    }
  }
  for (const path of headPaths(files)) findings.push(...(await headFindings(evidence, path, linesByPath)));
  return { lines, files: linesByPath, findings: [...findings, ...reusedRuns(linesByPath)] };
}

/** A head that was kept elsewhere, held against the ledger of its environment (M120). */
export async function keptHeadFindings(
  evidence: Evidence,
  kept: { readonly path: string; readonly bytes: Uint8Array },
  { files }: Ledgers,
): Promise<readonly Finding[]> {
  const reading = await readHeadBytes(evidence, kept.bytes);
  if (reading.status === 'refused') return [brokenHead(kept.path, reading.reason)];
  const { head } = reading;
  const path = `evidence/ledger/${head.environment}.jsonl`;
  const held = holdAgainstHead(files.get(path) ?? [], head);
  if (held.status === 'same' || held.status === 'grown') return [];
  const seq = held.status === 'tail_lost' ? held.seq : head.seq;
  return [
    refusal('ledger_fork', `${path}:${seq}`, {
      detail: { reason: held.status, seq, keptHead: head.seq, keptAt: head.at },
      hint:
        held.status === 'tail_lost'
          ? 'This ledger held more entries when the head was kept: take it back from version control or a backup.'
          : 'An entry up to this one is not what it was when the head was kept: take the ledger back from version control or a backup.',
    }),
  ];
}

/** A line of a chain file that does not hold. */
export function brokenChain(
  code: 'ledger_broken' | 'evidence_changed',
  path: string,
  broken: { readonly line: number; readonly reason: string },
): Finding {
  return refusal(code, `${path}:${broken.line}`, {
    detail: { line: broken.line, reason: broken.reason },
    hint: 'Take this file back from version control or a backup; nothing after this line is evidence.',
  });
}

function lineFault(line: ChainLine, before: ChainLine | undefined, environment: string): string | undefined {
  if (line['environment'] !== environment) return 'environment';
  return textOf(line, 'at') < textOf(before, 'at') ? 'clock_back' : undefined;
}

function textOf(line: ChainLine | undefined, name: string): string {
  const value = line?.[name];
  return typeof value === 'string' ? value : '';
}

/** A run id names one run: each of its phases stands once, and all of them are about the same. */
function reusedRuns(files: ReadonlyMap<string, readonly ChainLine[]>): readonly Finding[] {
  const known = new Map<string, JsonObject>();
  const findings: Finding[] = [];
  for (const [path, lines] of files) {
    const seen = new Set<string>();
    for (const [index, line] of lines.entries()) {
      const run = textOf(line, 'run_id');
      const phase = `${run} ${textOf(line, 'phase')}`;
      const first = known.get(run) ?? line;
      known.set(run, first);
      const isSame = ABOUT.every((name) => first[name] === line[name]);
      if (seen.has(phase) || !isSame)
        findings.push(brokenChain('ledger_broken', path, { line: index + 1, reason: 'run_id_reused' }));
      seen.add(phase);
    }
  }
  return findings;
}

const ABOUT = [
  'migration_id',
  'environment',
  'direction',
  'attempt',
  'bundle_digest',
  'plan_digest',
] as const;

/** The heads that are there, and those that ought to be. */
function headPaths(files: readonly string[]): readonly string[] {
  const ledgers = files.filter((file) => LEDGER_PATH.test(file));
  return [...new Set(ledgers.map((file) => file.replace(/\.(?:jsonl|head\.json)$/u, '.head.json')))];
}

async function headFindings(
  evidence: Evidence,
  path: string,
  linesByPath: ReadonlyMap<string, readonly ChainLine[]>,
): Promise<readonly Finding[]> {
  const ledger = path.replace(/\.head\.json$/u, '.jsonl');
  const bytes = await evidence.reader.read(path);
  if (bytes === undefined) return [missing(path, ledger)];
  const reading = await readHeadBytes(evidence, bytes);
  if (reading.status === 'refused') return [brokenHead(path, reading.reason)];
  if (reading.head.environment !== LEDGER_PATH.exec(path)?.[1]) return [brokenHead(path, 'environment')];
  const held = holdAgainstHead(linesByPath.get(ledger) ?? [], reading.head);
  if (held.status === 'same') return [];
  if (held.status !== 'tail_lost')
    return [brokenHead(path, held.status === 'grown' ? 'behind_its_ledger' : 'of_another_ledger')];
  const hint =
    'The end of this ledger is lost: take it back from version control, or have the next run write it from the database.';
  const detail = { reason: held.status, seq: held.seq, head: reading.head.seq };
  return [refusal('ledger_fork', `${ledger}:${held.seq}`, { detail, hint })];
}

async function readHeadBytes(evidence: Evidence, bytes: Uint8Array): Promise<HeadReading> {
  const value = parseObject(bytes);
  if (value === undefined) return { status: 'refused', reason: 'not_canonical' };
  const reading = await readHead(value, evidence);
  const isUnsigned =
    reading.status === 'ok' && reading.keyId === undefined && reading.head.environment !== 'dev';
  return isUnsigned ? { status: 'refused', reason: 'unsigned' } : reading;
}

function brokenHead(path: string, reason: string): Finding {
  return refusal('ledger_broken', path, {
    detail: { reason },
    hint: 'Take this head back from where it was kept; the next run signs a new one over what the database holds.',
  });
}

function strange(path: string): Finding {
  return refusal('ledger_broken', path, {
    detail: { reason: 'unknown_file' },
    hint: 'Move this file away: it is no ledger of an environment.',
  });
}

/** The line that closed a run. */
export function closingLine({ lines }: Ledgers, runId: string): ChainLine | undefined {
  return lines.find((line) => line['run_id'] === runId && line['phase'] === 'closed');
}

/** The digest of the envelope that closed a run; null where it was not signed. */
export function envelopeOf(line: ChainLine | undefined): Digest | null {
  const [body, receipt] = [line?.['body_digest'], line?.['receipt_digest']];
  return typeof body === 'string' && body !== receipt ? body : null;
}
