/**
 * Finds in source, before anything runs, what a make uses and does not declare: tables, database clients, network,
 * clock, randomness, files, environment; in the make itself and in every project function that it reaches. The rules
 * stand in `rule.ts`; a comment can allow what one of them finds, with a reason (`allowance.ts`).
 */
import type typescript from 'typescript';
import type { Finding, JsonObject, Severity } from '../../base/index.ts';
import { projectPath } from '../code/module-graph.ts';
import { filePathOf, realPath } from '../code/resolve-module.ts';
import { loadTypeScript } from '../code/typescript.ts';
import { commandFolder, commandOf, type CommandSettings } from '../command/command.ts';
import { commandFiles } from '../command/command-source.ts';
import type { AnyTable } from '../table.ts';
import { constantNames, findMakeSources } from './find-source.ts';
import { ALLOWED_CODES, allowancesIn, type Allowance } from './allowance.ts';
import { machineUse } from './machine-use.ts';
import { originName, type OutsideCode } from './outside.ts';
import { readRemedy, tableMeant, type Names } from './remedy.ts';
import { ruleOf } from './rule.ts';
import { openSources, type SourceProgram } from './source-program.ts';
import type { Relation } from './sql-relation.ts';
import { collectMentions, mayMention } from './table-mention.ts';
import { createMakeWalker, type MakeWalker, type Place } from './walk-make.ts';

/** Where the sources stand. */
export interface CheckSourceOptions {
  /** The folder that paths in findings are relative to. */
  readonly projectFolder: string;
  /** Further tables that code may name; those given and their parents are known anyway. */
  readonly knownTables?: readonly AnyTable[];
}

/**
 * Checks the source of every make.
 *
 * Shape: `[{ code: 'undeclared_read', severity: 'error', subject: 'audit.verdict', detail: { file: 'src/audit.ts', line: 12, column: 30, reads: 'audit.policy', via: ['judge'] }, hint: 'Add ...' }]`
 * Units: `line` and `column` count from 1.
 * Invariant: `error` for a table that enforces, `warning` for one that observes; `via` names the way from the make. What
 * a comment allows is `info`, with its reason as `allowed`.
 */
export async function checkSource(
  tables: readonly AnyTable[],
  options: CheckSourceOptions,
): Promise<readonly Finding[]> {
  const made = tables.filter(({ definition }) => (definition.make ?? definition.makeWith) !== undefined);
  if (made.length === 0) return [];
  const ts = await loadTypeScript();
  const files = made.flatMap(({ definition: { file } }) => (file === undefined ? [] : [filePathOf(file)]));
  const program = openSources(ts, [...new Set(files)]);
  const check: Check = {
    program,
    walker: createMakeWalker(
      program,
      (node) => mayMention(program, node) || machineUse(program, node) !== undefined,
    ),
    projectFolder: realPath(options.projectFolder),
    names: {
      tables: withParents([...tables, ...(options.knownTables ?? [])]),
      constantByTable: constantNames(program),
    },
    allowances: program.sourceFiles.flatMap((sourceFile) => allowancesIn(program, sourceFile)),
    needed: new Set(),
  };
  const findings = await Promise.all(made.map(async (table) => checkTable(check, table)));
  return [...findings.flat(), ...check.allowances.flatMap((allowance) => allowanceFinding(check, allowance))];
}

interface Check {
  readonly program: SourceProgram;
  readonly walker: MakeWalker;
  readonly projectFolder: string;
  readonly names: Names;
  readonly allowances: readonly Allowance[];
  /** The allowances that something needed. */
  readonly needed: Set<Allowance>;
}

async function checkTable(check: Check, table: AnyTable): Promise<readonly Finding[]> {
  const outside = commandOf(table.definition.make);
  if (outside !== undefined) return checkCommand(check, table, outside);
  const { file } = table.definition;
  const sources =
    file === undefined
      ? []
      : findMakeSources(check.program, filePathOf(file), table.spec.name, table.spec.form ?? 'make');
  if (sources.length === 0) return [unresolved(check, table)];
  const findings: Finding[] = [];
  const mentions = collectMentions(check.program);
  const add = (
    code: OutsideCode,
    place: Place,
    told: { readonly detail: JsonObject; readonly hint: string },
  ) => findings.push(finding(check, table, code, place, told));
  for (const source of sources) {
    check.walker.walk(source, {
      outside: (code, origin, place) => {
        if (code === 'undeclared_files' && table.spec.tier === 'imported') return;
        add(code, place, { detail: { uses: originName(origin) }, hint: ruleOf(code).remedy });
      },
      node: (place) => {
        mentions.see(place.node, place.via);
        const use = machineUse(check.program, place.node);
        if (use === undefined) return;
        add('undeclared_environment', place, { detail: { uses: use.uses }, hint: use.hint });
      },
    });
  }
  for (const { node, via, relations } of await mentions.mentions()) {
    if (relations.length === 0) findings.push(unknownTable(check, table, { node, via }));
    for (const relation of relations.filter((candidate) => !isDeclared(table, candidate))) {
      const detail = { reads: readName(check, table, relation) };
      add('undeclared_read', { node, via }, { detail, hint: readRemedy(table, relation, check.names) });
    }
  }
  return distinct(findings);
}

/** What a command does is not to be read here; what it is made of can at least be named. */
function checkCommand(check: Check, table: AnyTable, settings: CommandSettings): readonly Finding[] {
  if (commandFiles(settings, commandFolder(table.definition)).length > 0) return [];
  return [
    {
      ...unresolved(check, table),
      hint: "Name the files of the command: command([...], { files: ['lab/**/*.py'] }). Until then an edit of them makes no result stale.",
    },
  ];
}

/** Under enforcement only the names of the declared reads exist, each a view of what the key may see. */
function isDeclared(table: AnyTable, { schema, name }: Relation): boolean {
  return schema === undefined && table.spec.reads.some((read) => read.name === name);
}

function readName(check: Check, table: AnyTable, relation: Relation): string {
  const meant = tableMeant(table, relation, check.names);
  if (meant !== undefined) return meant.spec.name;
  return relation.schema === undefined ? relation.name : `${relation.schema}.${relation.name}`;
}

function finding(
  check: Check,
  table: AnyTable,
  code: OutsideCode,
  place: Place,
  { detail, hint }: { readonly detail: JsonObject; readonly hint: string },
): Finding {
  const severity: Severity = table.spec.strict === 'observe' ? 'warning' : 'error';
  const told = { code, subject: table.spec.name, detail: { ...placeDetail(check, place), ...detail }, hint };
  const allowance = allowanceOf(check, code, place.node);
  if (allowance === undefined) return { ...told, severity };
  return {
    ...told,
    severity: 'info',
    detail: { ...told.detail, allowed: allowance.reason },
    hint: 'A comment allows it. Remove the comment once its reason no longer holds.',
  };
}

/** The comment beside or above a place that allows this, with a reason. */
function allowanceOf(check: Check, code: OutsideCode, node: typescript.Node): Allowance | undefined {
  const sourceFile = node.getSourceFile();
  const { line } = sourceFile.getLineAndCharacterOfPosition(node.getStart(sourceFile));
  const found = check.allowances.find(
    (each) =>
      each.sourceFile === sourceFile &&
      each.code === code &&
      each.reason !== '' &&
      (each.line === line || each.untilLine === line),
  );
  if (found !== undefined) check.needed.add(found);
  return found;
}

function allowanceFinding(check: Check, allowance: Allowance): readonly Finding[] {
  if (check.needed.has(allowance)) return [];
  const { sourceFile, position, what, code, reason } = allowance;
  const { line, character } = sourceFile.getLineAndCharacterOfPosition(position);
  const file = projectPath(check.projectFolder, sourceFile.fileName);
  const [why, hint] =
    code === undefined
      ? ['it names no rule', `Name one of: ${Object.keys(ALLOWED_CODES).join(', ')}.`]
      : reason === ''
        ? ['it gives no reason', `Write the reason after a colon: \`// varve-allow ${what}: REASON\`.`]
        : ['nothing needs it', 'Remove it, or put it on the line of what it allows or above that.'];
  return [
    {
      code: 'allowance_invalid',
      severity: code === undefined || reason === '' ? 'error' : 'warning',
      subject: `${file}:${String(line + 1)}`,
      detail: { reason: why, file, line: line + 1, column: character + 1 },
      hint,
    },
  ];
}

function unresolved({ projectFolder }: Check, table: AnyTable): Finding {
  const { file } = table.definition;
  return {
    code: 'source_unresolved',
    severity: 'info',
    subject: table.spec.name,
    detail: file === undefined ? {} : { file: projectPath(projectFolder, filePathOf(file)) },
    hint: ruleOf('source_unresolved').remedy,
  };
}

/** Under enforcement the database refuses what is not declared; before that there is nothing to say but this. */
function unknownTable(check: Check, table: AnyTable, place: Place): Finding {
  return {
    code: 'source_unresolved',
    severity: 'info',
    subject: table.spec.name,
    detail: { reason: 'which table is read is decided at run time', ...placeDetail(check, place) },
    hint: 'Name the table by text, or by a constant whose type is that text, to have it checked here.',
  };
}

function placeDetail({ projectFolder }: Check, { node, via }: Place): JsonObject {
  const sourceFile = node.getSourceFile();
  const { line, character } = sourceFile.getLineAndCharacterOfPosition(node.getStart(sourceFile));
  return {
    file: projectPath(projectFolder, sourceFile.fileName),
    line: line + 1,
    column: character + 1,
    ...(via.length === 0 ? {} : { via: [...via] }),
  };
}

/** One finding per place, in the order of places. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const byPlace = new Map<string, Finding>();
  for (const item of findings) {
    const { file, line, column, uses, reads } = item.detail;
    // Numbers of one length, so that the texts sort as the places do.
    const key = JSON.stringify([file, Number(line) + 1e8, Number(column) + 1e8, item.code, uses ?? reads]);
    if (!byPlace.has(key)) byPlace.set(key, item);
  }
  return [...byPlace].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, item]) => item);
}

function withParents(tables: readonly AnyTable[]): readonly AnyTable[] {
  const known = new Map<string, AnyTable>();
  const add = (table: AnyTable): void => {
    if (known.has(table.spec.name)) return;
    known.set(table.spec.name, table);
    [...table.definition.parents, ...table.definition.parts].forEach(add);
  };
  tables.forEach(add);
  return [...known.values()];
}
