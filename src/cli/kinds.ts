import { refusal, type Finding } from '../base/index.ts';
import type { Attribution, EvolutionWorld, FunctionRule, PlanChoices } from '../evolution/index.ts';
import type { MigrationKind, PlanOutcome, RunnerOptions } from '../migration/index.ts';
import type { Store } from '../store/index.ts';
import { filesFolderOf } from './config.ts';
import { loadFunctionRule, namesFunction } from './function-rule.ts';
import type { ProjectWorld } from './project-world.ts';

/** The kinds of migration that this command line runs, and what only some of them can do. */
export interface Kinds {
  readonly list: readonly MigrationKind[];
  /**
   * Compares the definitions with the database and writes a bundle of what differs, with these rules for ambiguous rows
   * and these makes attested: `varve plan` without an id. A bundle of the same that was never run is planned again instead.
   */
  readonly draft?: (
    options: RunnerOptions,
    rules: readonly AttributionRule[],
    choices: PlanChoices,
  ) => Promise<DraftOutcome>;
  /** Reads that makes were seen to make without declaring them, each with the declaration that would fix it. */
  readonly undeclared?: (store: Store) => Promise<readonly Finding[]>;
}

/** What came of comparing the definitions with the database. */
export type DraftOutcome =
  | {
      readonly status: 'drafted';
      readonly migrationId: string;
      readonly outcome: PlanOutcome;
    }
  | { readonly status: 'unchanged' }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** `--attribute audit.verdict=recompute`; without a subject, for every table that has ambiguous rows. */
export interface AttributionRule {
  /** The name of a table or of a column of one, in its parts. */
  readonly subject: readonly string[] | undefined;
  readonly rule: string;
}

/** Makes the kinds for a project. */
export type KindsOf = (world: ProjectWorld) => Promise<Kinds>;

/** All kinds of this release. The one place that names them; each is loaded here, when a command asks. */
export const kindsOf: KindsOf = async (world) => {
  const { pipelineKind } = await import('../evolution/index.ts');
  const { postgisKind } = await import('../migration/kind/postgis/index.ts');
  const { documentKind } = await import('../migration/kind/document/index.ts');
  const { documentEngine } = await import('./document-engine.ts');
  const { importedKind } = await import('../migration/kind/imported/index.ts');
  return {
    list: [
      pipelineKind(() => evolutionWorld(world)),
      postgisKind,
      documentKind(documentEngine(world.project.dir)),
      importedKind,
    ],
    draft: (options, rules, choices) => draftPipeline(world, options, { rules, choices }),
    undeclared: async (store) => {
      const { checkRecordedReads } = await import('../pipeline/index.ts');
      return checkRecordedReads(store, world.definitions);
    },
  };
};

/** What an evolution needs of a project; the code is read when it is asked for. */
export async function evolutionWorld(world: ProjectWorld): Promise<EvolutionWorld> {
  const { definitions, environment, project } = world;
  const objects = await world.objects();
  const { openMakeRunner } = await import('../pipeline/index.ts');
  return {
    definitions,
    environment,
    projectFolder: filesFolderOf(project),
    objects,
    // Nothing is started before an isolated make is asked for, and what is started ends with this process.
    runner: openMakeRunner({
      definitionsModule: project.filePath,
      definitionDigest: definitions.digest,
      files: { folder: filesFolderOf(project), objects: objects?.settings },
    }),
    codeByTable: await world.codeByTable(),
  };
}

interface Given {
  readonly rules: readonly AttributionRule[];
  readonly choices: PlanChoices;
}

async function draftPipeline(
  world: ProjectWorld,
  options: RunnerOptions,
  { rules, choices }: Given,
): Promise<DraftOutcome> {
  const { attest = [] } = choices;
  const { findSpecs } = await import('./table-argument.ts');
  const attested = findSpecs(
    world.definitions,
    attest.map(({ table }) => table),
  );
  if (attested.findings.length > 0) return { status: 'refused', findings: attested.findings };
  const asked = {
    ...choices,
    attest: attest.map((one, at) => ({ ...one, table: attested.specs[at]?.name ?? one.table })),
  };
  const named = await attributionOf(world, options, rules);
  if ('findings' in named) return { status: 'refused', findings: named.findings };
  const { attribution, functions } = named;
  const draft = { attribution, choices: { ...asked, functions } };
  if (rules.every(({ subject }) => subject !== undefined)) return draftWith(world, options, draft);
  const ambiguous = await ambiguousTables(world, options, draft);
  if ('status' in ambiguous) return ambiguous;
  return draftWith(world, options, {
    ...draft,
    attribution: {
      ...Object.fromEntries(ambiguous.tables.map((table) => [table, 'recompute'])),
      ...attribution,
    },
  });
}

/** Rules by the full names of what they are for, with the functions among them. */
interface Named {
  readonly attribution: Attribution;
  readonly functions: ReadonlyMap<string, FunctionRule>;
}

/** The rules that name a table or a column, by the full name of it. */
export async function attributionOf(
  world: ProjectWorld,
  options: RunnerOptions,
  rules: readonly AttributionRule[],
): Promise<Named | { readonly findings: readonly Finding[] }> {
  const functions = new Map<string, FunctionRule>();
  const bare = rules.find(({ subject, rule }) => subject === undefined && rule !== 'recompute');
  if (bare !== undefined) return { findings: [unknownRule(bare)] };
  const named: [string, string][] = [];
  for (const { subject, rule } of rules) {
    if (subject === undefined) continue;
    const found = await subjectOf(world, options, subject);
    if (typeof found !== 'string') return { findings: [found] };
    if (!namesFunction(rule)) {
      named.push([found, rule]);
      continue;
    }
    const loaded = await loadFunctionRule(world.project.dir, found, rule);
    if ('severity' in loaded) return { findings: [loaded] };
    named.push([found, loaded.rule]);
    functions.set(found, loaded.loaded);
  }
  return { attribution: Object.fromEntries(named), functions };
}

function unknownRule({ rule }: AttributionRule): Finding {
  const hint =
    'Write --attribute recompute for every table, or say which: --attribute TABLE=recompute, TABLE=retire, TABLE=keep, TABLE.COLUMN=EXPRESSION.';
  return refusal('usage', '--attribute', { detail: { reason: `no rule of the name ${rule}` }, hint });
}

/** The table or column that a person means: `schema.table`, `table` where one schema has it, each with a column or without. */
async function subjectOf(
  world: ProjectWorld,
  { store }: RunnerOptions,
  parts: readonly string[],
): Promise<string | Finding> {
  const { deployedSet, splitName } = await import('../pipeline/index.ts');
  const deployed = (await deployedSet(store))?.set.tables ?? [];
  const names = [...new Set([...world.definitions.set.tables, ...deployed].map(({ name }) => name))];
  const isTable = (name: string, path: readonly string[]): boolean => {
    const { schema, table: own } = splitName(name);
    return path.length === 2 ? schema === path[0] && own === path[1] : path.length === 1 && own === path[0];
  };
  const readings = [
    { path: parts, column: undefined },
    { path: parts.slice(0, -1), column: parts.at(-1) },
  ].flatMap(({ path, column }) =>
    names.filter((name) => isTable(name, path)).map((table) => ({ table, column })),
  );
  const full = readings.find(({ column }) => parts.length === (column === undefined ? 2 : 3));
  const [first, another] = readings;
  const only = full ?? (another === undefined ? first : undefined);
  if (only !== undefined) return only.column === undefined ? only.table : `${only.table}.${only.column}`;
  const { findIn, isFinding } = await import('./table-argument.ts');
  const found = findIn(names, parts.slice(0, 2).join('.'));
  if (typeof found !== 'string' && isFinding(found)) return found;
  const hint = 'Write schema.table, or schema.table.column; a name with a dot or = in it in double quotes.';
  return refusal('unknown_table', parts.join('.'), { hint });
}

/** The tables that a plan without rules finds ambiguous rows in, or what else comes of planning. */
async function ambiguousTables(
  world: ProjectWorld,
  options: RunnerOptions,
  draft: Draft,
): Promise<{ readonly tables: readonly string[] } | DraftOutcome> {
  const drafted = await draftWith(world, options, draft);
  if (drafted.status !== 'drafted') return drafted;
  if (drafted.outcome.status === 'refused') return drafted.outcome;
  const { tables } = drafted.outcome.plan.bound;
  return { tables: tables.flatMap(({ table, ambiguous }) => (ambiguous > 0 ? [table] : [])) };
}

interface Draft {
  readonly attribution: Attribution;
  readonly choices: PlanChoices;
}

async function draftWith(world: ProjectWorld, options: RunnerOptions, draft: Draft): Promise<DraftOutcome> {
  const { attribution, choices } = draft;
  // What functions say hangs on the rows of now.
  const isAsked = (choices.functions?.size ?? 0) > 0;
  const known = isAsked ? undefined : await sameDraft(world, options, draft);
  if (known !== undefined) {
    const { planMigration } = await import('../migration/index.ts');
    return { status: 'drafted', migrationId: known, outcome: await planMigration(options, known) };
  }
  const { planEvolution } = await import('../evolution/index.ts');
  const planned = await planEvolution(options, await evolutionWorld(world), attribution, choices);
  if (planned.status === 'refused') return planned;
  if (planned.status === 'nothing') return { status: 'unchanged' };
  return { status: 'drafted', migrationId: planned.migrationId, outcome: planned.outcome };
}

/** A bundle that was written for the same way and never run: planning twice must not leave two of them behind. */
async function sameDraft(
  world: ProjectWorld,
  options: RunnerOptions,
  { attribution, choices: { attest = [], adopt = false } }: Draft,
): Promise<string | undefined> {
  const { readBundle, readStatus } = await import('../migration/index.ts');
  const { deployedSet, sameJson } = await import('../pipeline/index.ts');
  const { attestationsIn, DEFAULT_SAMPLE } = await import('../evolution/index.ts');
  const from = (await deployedSet(options.store))?.digest ?? null;
  const code = Object.fromEntries(
    [...(await world.codeByTable())].map(([table, { digest }]) => [table, digest]),
  );
  const { migrations } = await readStatus(options);
  for (const { migrationId, runId, status } of migrations.toReversed()) {
    if (status !== 'pending' || runId !== undefined) continue;
    const reading = await readBundle(options.root, migrationId);
    if (reading.status === 'refused' || reading.bundle.kind !== 'pipeline') continue;
    const forward = reading.bundle.documents['forward.json'] ?? {};
    const planned = forward['code'] as Readonly<Record<string, string>> | undefined;
    const sameCode = Object.entries(planned ?? {}).every(([table, digest]) => code[table] === digest);
    const same = { from, to: world.definitions.digest, attribute: attribution };
    const { from: found, to, attribute } = forward;
    const operations = (forward['operations'] ?? []) as readonly { readonly kind?: unknown }[];
    const adopts = operations.some(({ kind }) => kind === 'adopt_table');
    if (!sameCode || adopts !== adopt || !sameJson({ from: found, to, attribute }, same)) continue;
    if (
      sameJson(
        attestationsIn(forward),
        attest.map(({ table, sample = DEFAULT_SAMPLE, seed = '' }) => ({ table, sample, seed })),
      )
    )
      return migrationId;
  }
  return undefined;
}
