import { Option, type Command } from 'commander';
import type { Finding } from '../../base/index.ts';
import {
  clearJobs,
  jobCounts,
  keysInHand,
  listJobs,
  loadRelations,
  orderJobs,
  retryJobs,
  type Job,
  type JobCounts,
  type JobOrder,
  type JobScope,
  type KeysInHand,
  type Relation,
  type Relations,
  type TableSpec,
} from '../../pipeline/index.ts';
import type { Sql, Store } from '../../store/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { readDuration } from '../duration-argument.ts';
import { readCount } from '../number-argument.ts';
import { actorName, openProjectWorld, type WorldAccess } from '../open-project-world.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { findSpec, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';
import { readKeyCondition } from '../where-argument.ts';

const TABLE = ['[table]', 'one table; default: all'] as const;
const ONE_TABLE = ['<table>', 'schema.table, or the bare name where one schema has it'] as const;
const WHERE = ['--where <sql>', 'only keys that fulfil a condition on the key columns'] as const;

interface WhereFlag {
  readonly where?: string;
}

interface ListFlags {
  readonly state?: string;
  readonly limit?: number;
}

/** `varve jobs` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve jobs', 'varve jobs list lab.grade --json', 'varve jobs retry lab.grade']);
  const add = (name: string, about: string, isDefault = false): Command =>
    command.command(name, { isDefault }).description(about);
  withExamples(
    add('list', 'keys that are not simply computed, and why (the default)', true)
      .argument(...TABLE)
      .addOption(new Option('--state <state>', 'only these').choices(['pending', 'error', 'ignored']))
      .option('--limit <keys>', 'so many at most', readCount),
    ['varve jobs list lab.grade', 'varve jobs list lab.grade --state error --limit 20'],
  ).action(act(list));
  withExamples(
    add('status', 'how many keys are pending, reserved, done, failed, and who is at work').argument(...TABLE),
    ['varve jobs status'],
  ).action(act(status));
  withExamples(
    add('retry', 'let failed keys be computed by the next populate')
      .argument(...TABLE)
      .option(...WHERE),
    ['varve jobs retry lab.grade', 'varve jobs retry lab.grade --where "mouse < 100"'],
  ).action(
    act((context, table: string | undefined, flags: WhereFlag) => change(context, { table, flags }, RETRY)),
  );
  withExamples(
    add('ignore', 'leave keys alone until they are cleared: failed ones, or those that --where names')
      .argument(...TABLE)
      .option(...WHERE),
    ['varve jobs ignore lab.grade', 'varve jobs ignore lab.grade --where "mouse = 7"'],
  ).action(
    act((context, table: string | undefined, flags: WhereFlag) => change(context, { table, flags }, IGNORE)),
  );
  withExamples(
    add('first', 'compute keys before others')
      .argument(...ONE_TABLE)
      .requiredOption(...WHERE)
      .option('--priority <number>', 'the higher, the earlier; default 1', readCount),
    ['varve jobs first lab.grade --where "mouse = 7"'],
  ).action(
    act((context, table: string, flags: WhereFlag & { readonly priority?: number }) =>
      change(
        context,
        { table, flags },
        order({ state: 'pending', priority: flags.priority ?? 1 }, 'put first'),
      ),
    ),
  );
  withExamples(
    add('delay', 'put keys off until later')
      .argument(...ONE_TABLE)
      .requiredOption(...WHERE)
      .requiredOption('--for <time>', 'such as 90s, 30m, 2h, 1d', readDuration),
    ['varve jobs delay lab.grade --where "mouse > 100" --for 2h'],
  ).action(
    act((context, table: string, flags: WhereFlag & { readonly for: number }) =>
      change(context, { table, flags }, order({ state: 'pending', delaySeconds: flags.for }, 'put off')),
    ),
  );
  withExamples(
    add('clear', 'forget all that was said of keys, those ignored by a person too; asks first')
      .argument(...TABLE)
      .option(...WHERE),
    ['varve jobs clear lab.grade --yes'],
  ).action(
    act((context, table: string | undefined, flags: WhereFlag) => change(context, { table, flags }, CLEAR)),
  );
}

interface JobChange {
  readonly apply: (
    store: Store,
    scope: JobScope,
    by: { readonly relations: Relations; readonly actor: string },
  ) => Promise<number>;
  readonly said: (count: string) => string;
  readonly question?: string;
}

const RETRY: JobChange = {
  apply: retryJobs,
  said: (count) => `${count} to be computed by the next populate`,
};
const IGNORE: JobChange = order({ state: 'ignored' }, 'ignored from now on');
const CLEAR: JobChange = {
  apply: clearJobs,
  said: (count) => `${count} forgotten`,
  question: 'Forget these jobs, those ignored by a person too?',
};

function order(wanted: JobOrder, said: string): JobChange {
  return {
    apply: (store, scope, by) => orderJobs(store, scope, wanted, by),
    said: (count) => `${count} ${said}`,
  };
}

async function list(context: Context, table: string | undefined, flags: ListFlags): Promise<CommandResult> {
  const chosen = await choose(context, table, 'read');
  if ('findings' in chosen) return refusedResult(chosen.findings);
  const jobs = await listJobs(chosen.store, chosen.relations, {
    ...(flags.state === undefined ? {} : { state: flags.state as Job['state'] }),
    ...(flags.limit === undefined ? {} : { limit: flags.limit }),
  });
  return { status: 'ok', fields: { jobs }, text: (style) => jobsText(style, jobs) };
}

async function status(context: Context, table?: string): Promise<CommandResult> {
  const chosen = await choose(context, table, 'read');
  if ('findings' in chosen) return refusedResult(chosen.findings);
  const { store, relations } = chosen;
  const computed = relations.filter(({ spec }) => spec.form !== undefined);
  const known = await loadRelations(store);
  const tables: JobCounts[] = [];
  for (const relation of computed) tables.push(await jobCounts(store, relation, known));
  const inHand = await keysInHand(store, computed);
  return {
    status: 'ok',
    fields: { tables, inHand },
    text: (style) =>
      [countsText(style, tables), inHandText(style, inHand)].filter((text) => text !== '').join('\n\n'),
  };
}

async function change(
  context: Context,
  { table, flags }: { readonly table: string | undefined; readonly flags: WhereFlag },
  wanted: JobChange,
): Promise<CommandResult> {
  const chosen = await choose(context, table, 'write');
  if ('findings' in chosen) return refusedResult(chosen.findings);
  const { store, relations } = chosen;
  const computed = relations.filter(({ spec }) => spec.form !== undefined);
  const condition = await conditionOf(store, computed, flags.where);
  if (condition !== undefined && isFinding(condition)) return refusedResult([condition]);
  if (wanted.question !== undefined && !(await context.confirm(wanted.question))) return keptResult();
  const by = { relations: await loadRelations(store), actor: actorName(context) };
  let changed = 0;
  for (const relation of computed) changed += await wanted.apply(store, { relation, condition }, by);
  const keys = countOf(changed, 'key');
  return { status: 'ok', fields: { changed }, text: () => `${wanted.said(keys)}.` };
}

async function conditionOf(
  store: Store,
  relations: readonly Relation[],
  text: string | undefined,
): Promise<Sql | Finding | undefined> {
  if (text === undefined) return undefined;
  const specs: readonly TableSpec[] = relations.map(({ spec }) => spec);
  return readKeyCondition(store, specs, text);
}

function keptResult(): CommandResult {
  return { status: 'ok', fields: { changed: 0 }, text: () => 'Nothing was changed.' };
}

type Chosen =
  | { readonly store: Store; readonly relations: readonly Relation[] }
  | { readonly findings: readonly Finding[] };

async function choose(context: Context, table: string | undefined, access: WorldAccess): Promise<Chosen> {
  const opened = await openProjectWorld(context, access);
  if (opened.status === 'refused') return { findings: opened.findings };
  const { store, definitions } = opened.world;
  const spec = table === undefined ? undefined : findSpec(definitions, table);
  if (spec !== undefined && isFinding(spec)) return { findings: [spec] };
  const names = spec === undefined ? definitions.set.tables.map(({ name }) => name) : [spec.name];
  const relations = await loadRelations(store);
  return { store, relations: names.flatMap((name) => relations.get(name) ?? []) };
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
      { head: 'due' },
      { head: 'why' },
    ],
    jobs.map((job) => [
      job.table,
      JSON.stringify(job.key),
      job.state === 'error' ? style('red', job.state) : style('dim', job.state),
      countText(job.attempts),
      dueText(job),
      oneLine([job.code, job.message].filter((part) => part !== null).join(': ')),
    ]),
  );
}

function dueText({ state, notBefore, priority }: Job): string {
  if (notBefore !== null) return `from ${notBefore}`;
  if (state === 'pending') return priority > 0 ? `first (${countText(priority)})` : 'now';
  return state === 'error' ? 'after varve jobs retry' : 'never';
}

function countsText(style: Style, tables: readonly JobCounts[]): string {
  if (tables.length === 0) return 'Nothing is computed in this project.';
  const states = ['pending', 'reserved', 'done', 'error', 'delayed', 'ignored'] as const;
  return tableText(
    style,
    [{ head: 'table' }, ...states.map((head) => ({ head, align: 'right' as const }))],
    tables.map((line) => [
      line.table,
      ...states.map((state) => {
        const text = countText(line[state]);
        return state === 'error' && line.error > 0 ? style('red', text) : text;
      }),
    ]),
  );
}

function inHandText(style: Style, inHand: readonly KeysInHand[]): string {
  if (inHand.length === 0) return '';
  return tableText(
    style,
    [
      { head: 'at work on' },
      { head: 'keys', align: 'right' },
      { head: 'by' },
      { head: 'since' },
      { head: 'last heartbeat' },
    ],
    inHand.map((line) => [
      line.table,
      countText(line.keys),
      `${line.actor} on ${line.host} (${String(line.process)})`,
      line.since,
      line.lastHeartbeat,
    ]),
  );
}

/** An error's message may be a page long; the first line of it stands in a table, all of it in the JSON. */
function oneLine(text: string): string {
  const [first = '', ...rest] = text.split('\n');
  return rest.length === 0 ? first : `${first} ...`;
}
