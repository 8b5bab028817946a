import type { Command } from 'commander';
import {
  adoptObjects,
  collectGarbage,
  listObjects,
  planGarbage,
  verifyObjects,
  type ClassifiedObject,
  type GarbagePlan,
  type ObjectTally,
} from '../../pipeline/index.ts';
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import type { ObjectStore, Store } from '../../store/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { readCount } from '../number-argument.ts';
import { openProjectWorld, type WorldAccess } from '../open-project-world.ts';
import { countOf, sizeText, tableText, type CommandResult, type Style } from '../output.ts';
import { refusedResult } from '../walk-output.ts';

interface GcFlags {
  readonly dryRun?: true;
  readonly keepHours: number;
}

/** `varve objects list|gc|verify|adopt` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve objects', 'varve objects gc --dry-run', 'varve objects verify --content']);
  withExamples(
    command
      .command('list', { isDefault: true })
      .description('every object: its size, when it was put, and whether anything needs it (the default)'),
    ['varve objects list --json'],
  ).action(act(list));
  withExamples(
    command
      .command('gc')
      .description('delete what no row and no history needs; shows it and asks first')
      .option('--dry-run', 'show it and stop')
      .option(
        '--keep-hours <hours>',
        'keep what was put less than so many hours ago: longer than a make takes',
        readCount,
        24,
      ),
    ['varve objects gc --dry-run', 'varve objects gc --keep-hours 48 --yes --json'],
  ).action(act(gc));
  withExamples(
    command
      .command('verify')
      .description('whether every object that a row or history names is there')
      .option('--content', 'read every byte and hold it against its digest'),
    ['varve objects verify', 'varve objects verify --content --json'],
  ).action(act(verify));
  withExamples(
    command
      .command('adopt')
      .description(
        'say that the objects belong to this database, after it was moved or restored; asks first',
      ),
    ['varve objects adopt --yes'],
  ).action(act(adopt));
}

interface Opened {
  readonly store: Store;
  readonly objects: ObjectStore;
}

async function open(
  context: Context,
  access: WorldAccess,
): Promise<Opened | { readonly findings: readonly Finding[] }> {
  const opened = await openProjectWorld(context, access);
  if (opened.status === 'refused') return opened;
  const objects = await opened.world.objects();
  return objects === undefined ? { findings: [noPlace()] } : { store: opened.world.store, objects };
}

function noPlace(): Finding {
  return refusal('objects_unavailable', 'varve.config.ts', {
    detail: { reason: 'the project names no place for objects' },
    hint: "Write objects: { folder: '.varve/objects' } into varve.config.ts.",
  });
}

async function list(context: Context): Promise<CommandResult> {
  const opened = await open(context, 'read');
  if ('findings' in opened) return refusedResult(opened.findings);
  const { store, objects } = opened;
  const found: ClassifiedObject[] = [];
  const findings = await listObjects(store, objects, {}, (object) => found.push(object));
  if (findings.length > 0) return refusedResult(findings);
  const sorted = found.toSorted((left, right) => (left.digest < right.digest ? -1 : 1));
  return {
    status: 'ok',
    fields: { location: objects.location, objects: sorted },
    text: (style) => objectsText(style, sorted),
  };
}

async function gc(context: Context, { dryRun, keepHours }: GcFlags): Promise<CommandResult> {
  const opened = await open(context, dryRun === true ? 'read' : 'write');
  if ('findings' in opened) return refusedResult(opened.findings);
  const { store, objects } = opened;
  const options = { graceMs: keepHours * 60 * 60 * 1000, signal: context.signal };
  const plan = await planGarbage(store, objects, options);
  if (plan.status === 'refused') return refusedResult(plan.findings);
  if (dryRun === true) return planned(plan);
  if (plan.garbage.objects === 0) return collected(plan, { removed: plan.garbage, spared: 0, swept: 0 });
  if (!context.options.yes) context.say(planText((_, text) => text, plan));
  if (
    !(await context.confirm(
      `Delete ${countOf(plan.garbage.objects, 'object')} in ${plan.location} for good?`,
    ))
  ) {
    return planned(plan);
  }
  const result = await collectGarbage(store, objects, plan, options);
  if (result.status === 'refused') return refusedResult(result.findings);
  return result.status === 'interrupted' ? interrupted(plan, result) : collected(plan, result);
}

interface Collected {
  readonly removed: ObjectTally;
  readonly spared: number;
  readonly swept: number;
}

function fieldsOf({ location, named, young, garbage }: GarbagePlan) {
  return { location, named, young, garbage };
}

function planned(plan: GarbagePlan): CommandResult {
  return {
    status: 'ok',
    fields: { ...fieldsOf(plan), removed: { objects: 0, sizeBytes: 0 }, spared: 0, swept: 0 },
    text: (style) => `${planText(style, plan)}\nNothing was deleted.`,
  };
}

function collected(plan: GarbagePlan, { removed, spared, swept }: Collected): CommandResult {
  const kept = spared === 0 ? '' : `, ${countOf(spared, 'object')} left alone: put or named meanwhile`;
  return {
    status: 'ok',
    fields: { ...fieldsOf(plan), removed, spared, swept },
    text: () => `${countOf(removed.objects, 'object')} deleted, ${sizeText(removed.sizeBytes)}${kept}`,
  };
}

function interrupted(plan: GarbagePlan, result: Collected): CommandResult {
  const findings = [stopped('gc', { removed: result.removed.objects })];
  return { ...collected(plan, result), status: 'refused', findings };
}

function stopped(verb: string, detail: JsonObject): Finding {
  return refusal('interrupted', `objects ${verb}`, { detail, hint: 'Run the same command again.' });
}

async function verify(context: Context, { content }: { readonly content?: true }): Promise<CommandResult> {
  const opened = await open(context, 'read');
  if ('findings' in opened) return refusedResult(opened.findings);
  const { store, objects } = opened;
  const result = await verifyObjects(store, objects, { content: content === true, signal: context.signal });
  const { sizeBytes } = result;
  const findings = context.signal.aborted
    ? [stopped('verify', { looked: result.objects }), ...result.findings]
    : result.findings;
  const looked = `Looked at ${countOf(result.objects, 'object')}, ${sizeText(sizeBytes)}`;
  return {
    status: findings.length === 0 ? 'ok' : 'refused',
    findings,
    fields: { location: objects.location, objects: result.objects, sizeBytes },
    text: () =>
      findings.length === 0
        ? `${looked}: all are there.`
        : `${looked}: ${countOf(findings.length, 'finding')}.`,
  };
}

async function adopt(context: Context): Promise<CommandResult> {
  const opened = await open(context, 'write');
  if ('findings' in opened) return refusedResult(opened.findings);
  const { store, objects } = opened;
  const sure = await context.confirm(
    `Is this the only database that needs the objects in ${objects.location}?`,
  );
  const adopted = sure && (await adoptObjects(store));
  return {
    status: 'ok',
    fields: { location: objects.location, adopted },
    text: () => (adopted ? 'The objects belong to this database now.' : 'Nothing was changed.'),
  };
}

function objectsText(style: Style, objects: readonly ClassifiedObject[]): string {
  if (objects.length === 0) return 'There are no objects yet.';
  return tableText(
    style,
    [{ head: 'object' }, { head: 'size', align: 'right' }, { head: 'put' }, { head: 'state' }],
    objects.map(({ digest, sizeBytes, putAt, state }) => [
      digest,
      sizeText(sizeBytes),
      putAt,
      state === 'garbage' ? style('yellow', state) : state,
    ]),
  );
}

function planText(style: Style, plan: GarbagePlan): string {
  const rows = [
    ['named by rows or history', plan.named],
    ['put or named lately', plan.young],
    ['garbage', plan.garbage],
  ] as const;
  return tableText(
    style,
    [{ head: 'state' }, { head: 'objects', align: 'right' }, { head: 'size', align: 'right' }],
    rows.map(([name, { objects, sizeBytes }]) => [
      name,
      objects.toLocaleString('en-US'),
      sizeText(sizeBytes),
    ]),
  );
}
