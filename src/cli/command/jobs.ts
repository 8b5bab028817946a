import type { Command } from 'commander';
import type { Finding } from '../../base/index.ts';
import {
  clearJobs,
  ignoreJobs,
  listJobs,
  loadRelations,
  retryJobs,
  type Definitions,
  type Job,
  type Relation,
} from '../../pipeline/index.ts';
import type { Queryable, Store } from '../../store/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { openProjectWorld, type WorldAccess } from '../open-project-world.ts';
import { findSpec, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

const TABLE = ['[table]', 'one table; default: all'] as const;

/** `varve jobs` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve jobs', 'varve jobs list lab.grade --json', 'varve jobs retry lab.grade']);
  const add = (name: string, about: string, isDefault = false): Command =>
    command
      .command(name, { isDefault })
      .description(about)
      .argument(...TABLE);
  withExamples(add('list', 'the keys that stand aside, and why (the default)', true), [
    'varve jobs list lab.grade',
  ]).action(act(list));
  withExamples(add('retry', 'let failed keys be computed by the next populate'), [
    'varve jobs retry lab.grade',
  ]).action(act((context, table?: string) => change(context, table, RETRY)));
  withExamples(add('ignore', 'leave failed keys alone until they are cleared'), [
    'varve jobs ignore lab.grade',
  ]).action(act((context, table?: string) => change(context, table, IGNORE)));
  withExamples(add('clear', 'forget all jobs, those ignored by a person too; asks first'), [
    'varve jobs clear lab.grade --yes',
  ]).action(act((context, table?: string) => change(context, table, CLEAR)));
}

interface JobChange {
  readonly apply: (store: Queryable, relations: readonly Relation[]) => Promise<number>;
  readonly said: (count: string) => string;
  readonly question?: string;
}

const RETRY: JobChange = {
  apply: retryJobs,
  said: (count) => `${count} to be computed by the next populate`,
};
const IGNORE: JobChange = { apply: ignoreJobs, said: (count) => `${count} ignored from now on` };
const CLEAR: JobChange = {
  apply: clearJobs,
  said: (count) => `${count} forgotten`,
  question: 'Forget these jobs, those ignored by a person too?',
};

async function list(context: Context, table?: string): Promise<CommandResult> {
  const chosen = await chooseRelations(context, table, 'read');
  if ('findings' in chosen) return refusedResult(chosen.findings);
  const jobs = await listJobs(chosen.store, chosen.relations);
  return { status: 'ok', fields: { jobs }, text: (style) => jobsText(style, jobs) };
}

async function change(
  context: Context,
  table: string | undefined,
  wanted: JobChange,
): Promise<CommandResult> {
  const chosen = await chooseRelations(context, table, 'write');
  if ('findings' in chosen) return refusedResult(chosen.findings);
  const { store, relations } = chosen;
  if (wanted.question !== undefined && !(await context.confirm(wanted.question))) return keptResult();
  const changed = await wanted.apply(store, relations);
  const keys = countOf(changed, 'key');
  return { status: 'ok', fields: { changed }, text: () => `${wanted.said(keys)}.` };
}

function keptResult(): CommandResult {
  return { status: 'ok', fields: { changed: 0 }, text: () => 'Nothing was changed.' };
}

type Chosen =
  | { readonly store: Store; readonly relations: readonly Relation[] }
  | { readonly findings: readonly Finding[] };

async function chooseRelations(
  context: Context,
  table: string | undefined,
  access: WorldAccess,
): Promise<Chosen> {
  const opened = await openProjectWorld(context, access);
  if (opened.status === 'refused') return { findings: opened.findings };
  const { store, definitions } = opened.world;
  const names = namesOf(definitions, table);
  if (isFinding(names)) return { findings: [names] };
  const relations = await loadRelations(store);
  return { store, relations: names.flatMap((name) => relations.get(name) ?? []) };
}

function namesOf(definitions: Definitions, table: string | undefined): readonly string[] | Finding {
  if (table === undefined) return definitions.set.tables.map(({ name }) => name);
  const spec = findSpec(definitions, table);
  return isFinding(spec) ? spec : [spec.name];
}

function jobsText(style: Style, jobs: readonly Job[]): string {
  if (jobs.length === 0) return 'No key stands aside.';
  return tableText(
    style,
    [
      { head: 'table' },
      { head: 'key' },
      { head: 'state' },
      { head: 'attempts', align: 'right' },
      { head: 'why' },
    ],
    jobs.map(({ table, key, state, attempts, code, message }) => [
      table,
      JSON.stringify(key),
      state === 'error' ? style('red', state) : style('dim', state),
      countText(attempts),
      oneLine([code, message].filter((part) => part !== null).join(': ')),
    ]),
  );
}

/** An error's message may be a page long; the first line of it stands in a table, all of it in the JSON. */
function oneLine(text: string): string {
  const [first = '', ...rest] = text.split('\n');
  return rest.length === 0 ? first : `${first} ...`;
}
