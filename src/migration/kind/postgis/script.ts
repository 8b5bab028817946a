/** The scripts of a bundle, statement by statement, in the order in which they run. */
import { refusal, type Finding } from '../../../base/index.ts';
import { sha256, type Digest } from '../../../evidence/index.ts';
import { asNode, readScript, type Node, type Script, type TextPlace } from '../../../store/index.ts';
import type { Bundle } from '../../bundle.ts';
import type { Phase } from '../../declaration.ts';

/** One statement of a bundle. */
export interface Statement {
  readonly file: string;
  /** Which one of its direction it is, from 1. */
  readonly ordinal: number;
  readonly text: string;
  readonly digest: Digest;
  /** As the parser names it, such as `AlterTableStmt`. */
  readonly kind: string;
  readonly node: Node;
  /** Where it begins. */
  readonly place: TextPlace;
  /** The place of an offset into its text. */
  readonly placeOf: (offset: number) => TextPlace;
}

/** A file with its statements and how it runs. */
export interface ScriptPhase extends Phase {
  /** The whole file. */
  readonly text: string;
  readonly statements: readonly Statement[];
}

/** What was read, and what could not be. */
export interface BundleScripts {
  readonly forward: readonly ScriptPhase[];
  readonly rollback: readonly ScriptPhase[];
  readonly findings: readonly Finding[];
}

const known = new WeakMap<Bundle, Promise<BundleScripts>>();

/** Reads all files of a bundle that a run executes; a bundle in memory never changes, so each is read once. */
export function readScripts(bundle: Bundle): Promise<BundleScripts> {
  const reading = known.get(bundle) ?? readFiles(bundle);
  known.set(bundle, reading);
  return reading;
}

async function readFiles(bundle: Bundle): Promise<BundleScripts> {
  const { artifacts, phases } = bundle.declaration;
  const forward = phases ?? artifacts.forward.map(transactional);
  const there = await readPhases(bundle, forward);
  const back = await readPhases(bundle, artifacts.rollback.map(transactional));
  return {
    forward: there.phases,
    rollback: back.phases,
    findings: [...there.findings, ...back.findings],
  };
}

/** The finding's subject for a place in a file. */
export function subjectOf(file: string, { line, column }: TextPlace): string {
  return `${file}:${String(line)}:${String(column)}`;
}

function transactional(file: string): Phase {
  return { file, mode: 'transactional' };
}

async function readPhases(
  bundle: Bundle,
  phases: readonly Phase[],
): Promise<{ readonly phases: readonly ScriptPhase[]; readonly findings: readonly Finding[] }> {
  const read: ScriptPhase[] = [];
  const findings: Finding[] = [];
  let count = 0;
  for (const phase of phases) {
    const bytes = bundle.files.find(({ path }) => path === phase.file)?.bytes ?? new Uint8Array();
    const text = new TextDecoder().decode(bytes);
    const script = await readScript(text);
    findings.push(...faultsOf(phase.file, script));
    const statements = script.statements.map((each, index) =>
      statementOf({ phase, script, text, ordinal: count + index + 1 }, each),
    );
    count += statements.length;
    read.push({ ...phase, text, statements });
  }
  return { phases: read, findings };
}

interface Around {
  readonly phase: Phase;
  readonly script: Script;
  readonly text: string;
  readonly ordinal: number;
}

function statementOf(
  { phase, script, text, ordinal }: Around,
  { node, start, end }: Script['statements'][number],
): Statement {
  const own = text.slice(start, end);
  const typed = asNode(node) ?? { type: 'unknown', fields: {} };
  return {
    file: phase.file,
    ordinal,
    text: own,
    digest: sha256(new TextEncoder().encode(own)),
    kind: typed.type,
    node: typed,
    place: script.placeOf(start),
    placeOf: (offset) => script.placeOf(start + offset),
  };
}

const FAULT_HINTS = {
  syntax: 'Correct the statement: PostgreSQL’s own parser stops here.',
  psql: 'Leave out commands of psql: varve sends statements itself, one at a time.',
  copy_rows: 'Write the rows as INSERT ... VALUES, or load them with varve insert.',
  nul: 'Take the character NUL out of the file.',
  too_many: 'Correct the faults above; what follows was not read.',
} as const;

function faultsOf(file: string, { faults, placeOf }: Script): readonly Finding[] {
  return faults.map(({ kind, offset }) =>
    refusal('script_invalid', subjectOf(file, placeOf(offset)), {
      detail: { reason: kind },
      hint: FAULT_HINTS[kind],
    }),
  );
}
