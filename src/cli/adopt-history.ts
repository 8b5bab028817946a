/** `varve adopt --migrations DIR`: the history of another migration tool, taken over by a bundle. */
import { realpath } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import type { AdoptHistoryResult, ImportedItem, ImportTool } from '../migration/index.ts';
import type { Context } from './context.ts';
import { usageFinding } from './failure.ts';
import { countOf, tableText, type CommandResult, type Style } from './output.ts';
import { openRunner } from './runner.ts';
import { refusedResult } from './walk-output.ts';

/** What `--tool` takes. */
export const TOOL_NAMES: readonly ImportTool[] = ['flyway', 'graphile-migrate', 'prisma', 'sql'];

/** The options of the command that go with `--migrations`. */
export interface AdoptHistoryFlags {
  readonly migrations: string;
  readonly tool?: ImportTool;
  readonly historyTable?: string;
  readonly allApplied?: true;
}

/** Runs the command. */
export async function adoptHistoryCommand(
  context: Context,
  { migrations, tool, historyTable, allApplied }: AdoptHistoryFlags,
): Promise<CommandResult> {
  if (historyTable !== undefined && !/^[^.]+\.[^.]+$/u.test(historyTable)) {
    const hint = 'Write it with its schema: --history-table public.flyway_schema_history.';
    return refusedResult([usageFinding('--history-table is no schema.table', hint)]);
  }
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const folder = await insideProject(runner.world.project.dir, resolve(context.io.workingDir, migrations));
  if (typeof folder === 'object') return refusedResult([folder]);
  const { adoptHistory, unwritable } = await import('../migration/index.ts');
  try {
    const result = await adoptHistory(runner.options, {
      folder,
      allApplied: allApplied === true,
      ...(tool === undefined ? {} : { tool }),
      ...(historyTable === undefined ? {} : { table: historyTable }),
    });
    return result.status === 'refused' ? refusedResult(result.findings) : adoptedResult(result, folder);
  } catch (error) {
    return refusedResult(unwritable(error, runner.options.root).findings);
  }
}

/** The folder relative to the project, links resolved; a finding for one that is not there or lies elsewhere. */
async function insideProject(projectDir: string, folder: string): Promise<string | Finding> {
  const [project, real] = await Promise.all([realPathOf(projectDir), realPathOf(folder)]);
  if (project === undefined || real === undefined)
    return invalid(folder, 'missing', 'Name a folder that is there.');
  const path = relative(project, real).split(sep).join('/');
  if (path === '..' || path.startsWith('../') || resolve(project, path) !== real)
    return invalid(
      folder,
      'outside',
      'Name a folder inside the project: its files are looked at again later.',
    );
  return path === '' ? '.' : path;
}

async function realPathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    return undefined;
  }
}

function invalid(folder: string, reason: string, hint: string): Finding {
  return refusal('import_invalid', folder, { detail: { reason }, hint });
}

type Adopted = Exclude<AdoptHistoryResult, { readonly status: 'refused' }>;

function adoptedResult(result: Adopted, folder: string): CommandResult {
  const { tool, table, adopted, pending, alreadyCount, migrationId, plan, findings } = result;
  const next = migrationId === undefined ? [] : [`npx varve apply ${migrationId}`];
  return {
    status: 'ok',
    findings,
    fields: {
      migrationId: migrationId ?? null,
      planDigest: plan?.plan_digest ?? null,
      tool,
      folder,
      table,
      adopted: adopted.map((item) => itemFields(item)),
      pending: pending.map(({ id, path }) => ({ id, path })),
      alreadyAdopted: alreadyCount,
      next,
    },
    text: (style) =>
      [
        ...(adopted.length === 0 ? [] : [adoptedText(style, adopted)]),
        summaryText(result, folder),
        migrationId === undefined
          ? 'There is nothing to do.'
          : `Nothing has changed yet. Go on with: varve apply ${migrationId}`,
      ].join('\n'),
  };
}

function itemFields(item: ImportedItem): CommandResult['fields'] {
  const { id, description, path, checksum, checksumAlgorithm, order, isRepeatable } = item;
  return { id, description, path, checksum, checksumAlgorithm, order, repeatable: isRepeatable };
}

/** Nobody reads more at once; `--json` has them all. */
const SHOWN = 20;

function adoptedText(style: Style, adopted: readonly ImportedItem[]): string {
  const table = tableText(
    style,
    [{ head: 'migration' }, { head: 'description' }, { head: 'checksum' }],
    adopted
      .slice(0, SHOWN)
      .map(({ id, description, checksum }) => [id, description, shortChecksum(checksum)]),
  );
  const rest = adopted.length - SHOWN;
  return rest > 0 ? `${table}\nand ${rest} more` : table;
}

/** Enough of a checksum to be told from others. */
export function shortChecksum(checksum: string): string {
  return checksum.length > 20 ? `${checksum.slice(0, 17)}...` : checksum;
}

function summaryText({ tool, table, adopted, pending, alreadyCount }: Adopted, folder: string): string {
  const proof = table === null ? 'as you say' : `as ${table} says`;
  const parts = [
    `${tool}, ${folder}: ${countOf(adopted.length, 'applied migration')} to take over, ${proof}`,
    ...(alreadyCount === 0 ? [] : [`${alreadyCount} taken over before`]),
    ...(pending.length === 0 ? [] : [`${pending.length} left out, not applied`]),
  ];
  return parts.join('; ');
}
