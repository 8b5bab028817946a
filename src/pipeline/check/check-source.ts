/**
 * Finds in source, before anything runs, what a make uses and does not declare: tables, database clients, network,
 * clock, randomness, files, environment; in the make itself and in every project function that it reaches.
 *
 * | code | found | instead |
 * |---|---|---|
 * | `undeclared_read` | a table named in a query builder's call or in SQL | `reads` |
 * | `undeclared_client` | a database client, a Kysely of its own | `reads`, `makeWith` |
 * | `undeclared_clock` | `Date.now()`, `new Date()`, `performance.now()`, `process.hrtime()` | `now` |
 * | `undeclared_randomness` | `Math.random()`, `crypto.randomUUID()` and the like | `random` |
 * | `undeclared_network` | `fetch`, `node:http` and the like | a table, a file |
 * | `undeclared_files` | `node:fs`, in `computed` | `files` |
 * | `undeclared_environment` | `process.env`, `node:child_process` and the like | a table |
 * | `source_unresolved` | no factory call in the file can be this table's: nothing was checked | |
 */
import type { Finding, JsonObject, Severity } from '../../base/index.ts';
import { projectPath } from '../code/module-graph.ts';
import { filePathOf, realPath } from '../code/resolve-module.ts';
import { loadTypeScript } from '../code/typescript.ts';
import type { AnyTable } from '../table.ts';
import { constantNames, findMakeSources } from './find-source.ts';
import { originName, outsideCode, type OutsideCode } from './outside.ts';
import { outsideRemedy, readRemedy, tableMeant, type Names } from './remedy.ts';
import { openSources, type SourceProgram } from './source-program.ts';
import type { Relation } from './sql-relation.ts';
import { collectMentions } from './table-mention.ts';
import { walkMake, type Place } from './walk-make.ts';

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
 * Invariant: `error` for a table that enforces, `warning` for one that observes; `via` names the way from the make.
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
    projectFolder: realPath(options.projectFolder),
    names: {
      tables: withParents([...tables, ...(options.knownTables ?? [])]),
      constantByTable: constantNames(program),
    },
  };
  const findings = await Promise.all(made.map(async (table) => checkTable(check, table)));
  return findings.flat();
}

interface Check {
  readonly program: SourceProgram;
  readonly projectFolder: string;
  readonly names: Names;
}

async function checkTable(check: Check, table: AnyTable): Promise<readonly Finding[]> {
  const { file } = table.definition;
  const sources =
    file === undefined
      ? []
      : findMakeSources(check.program, filePathOf(file), table.spec.name, table.spec.form ?? 'make');
  if (sources.length === 0) return [unresolved(check, table)];
  const findings: Finding[] = [];
  const mentions = collectMentions(check.program);
  for (const source of sources) {
    walkMake(check.program, source, {
      outside: (origin, usage, place) => {
        const code = outsideCode(origin, usage);
        if (code === undefined || code === 'undeclared_read') return;
        if (code === 'undeclared_files' && table.spec.tier === 'imported') return;
        const detail = { ...placeDetail(check, place), uses: originName(origin) };
        findings.push(finding(table, code, detail, outsideRemedy(code)));
      },
      node: ({ node, via }) => mentions.see(node, via),
    });
  }
  for (const { node, via, relations } of await mentions.mentions()) {
    for (const relation of relations.filter((candidate) => !isDeclared(table, candidate))) {
      const detail = { ...placeDetail(check, { node, via }), reads: readName(check, table, relation) };
      findings.push(finding(table, 'undeclared_read', detail, readRemedy(table, relation, check.names)));
    }
  }
  return distinct(findings);
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

function finding(table: AnyTable, code: OutsideCode, detail: JsonObject, hint: string): Finding {
  const severity: Severity = table.spec.strict === 'observe' ? 'warning' : 'error';
  return { code, severity, subject: table.spec.name, detail, hint };
}

function unresolved({ projectFolder }: Check, table: AnyTable): Finding {
  const { file } = table.definition;
  return {
    code: 'source_unresolved',
    severity: 'info',
    subject: table.spec.name,
    detail: file === undefined ? {} : { file: projectPath(projectFolder, filePathOf(file)) },
    hint: 'Define the table by a call of its pipeline with its name as text: `lab.computed("name", { ... })`.',
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
