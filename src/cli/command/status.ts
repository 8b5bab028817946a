import type { Command } from 'commander';
import type { SupersededStructure } from '../../evolution/index.ts';
import type {
  AdoptedMigration,
  EnvironmentStatus,
  MigrationState,
  MigrationStatus,
  UnfinishedRun,
} from '../../migration/index.ts';
import { shortChecksum } from '../adopt-history.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countOf, sizeText, tableText, type CommandResult, type Style } from '../output.ts';
import { subjectIn } from '../pending-migration.ts';
import { showDossier } from '../dossier.ts';
import { migrationsRoot, projectOrFolder } from '../runner.ts';

/** `varve status` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve status',
    'varve status --env stage --json',
    'varve status PG-MIG-2026-05-12-01',
  ])
    .argument(
      '[id]',
      'one migration in one view, from files alone: change, inputs, justification, runs, what still lacks',
    )
    .action(act(run, { db: true }));
}

async function run(context: Context, id: string | undefined): Promise<CommandResult> {
  if (id !== undefined) return await showDossier(context, id);
  const { dir } = await projectOrFolder(context);
  // A database that nothing was deployed to has a status too: everything is pending.
  const store = await context.store();
  const { adoptedFindings, capturedTables, readAdopted, readEnvironmentStatuses, readStatus } =
    await import('../../migration/index.ts');
  const { supersededStructures } = await import('../../evolution/index.ts');
  const status = await readStatus({ store, root: migrationsRoot(dir), environment: context.options.env });
  const evidence = await readEnvironmentStatuses(migrationsRoot(dir));
  const structures = [...(await supersededStructures(store)), ...(await capturedTables(store))];
  const adopted = await readAdopted(migrationsRoot(dir), status);
  return {
    status: 'ok',
    findings: [
      ...status.migrations.flatMap(({ migrationId, findings }) =>
        findings.map((finding) => ({ ...finding, subject: subjectIn(migrationId, finding.subject) })),
      ),
      ...adoptedFindings(adopted),
    ].map((finding) => ({ ...finding, severity: 'warning' as const })),
    fields: {
      environment: status.environment,
      migrations: status.migrations.map(({ migrationId, status: state, runId, at, letGoAt, drifted }) => ({
        migrationId,
        status: state,
        runId: runId ?? null,
        at: at ?? null,
        drifted,
        letGoAt: letGoAt ?? null,
        environments: (evidence.get(migrationId) ?? []).map(({ environment, stands, wasRolledBack }) => ({
          environment,
          stands,
          wasRolledBack,
        })),
        history: costOf(structures.filter((each) => each.migrationId === migrationId)),
      })),
      unfinished: status.unfinished,
      adopted: adopted.map(({ migrationId, tool, folder, item, file }) => ({
        migrationId,
        tool,
        id: item.id,
        description: item.description,
        path: folder === '.' ? item.path : `${folder}/${item.path}`,
        checksum: item.checksum,
        checksumAlgorithm: item.checksum_algorithm,
        file,
      })),
      history: costOf(structures),
    },
    text: (style) =>
      [
        statusText(style, status, evidence),
        ...adoptedLines(style, adopted),
        ...historyLines(style, structures),
      ].join('\n'),
  };
}

/** By the id of a migration. */
type Evidence = ReadonlyMap<string, readonly EnvironmentStatus[]>;

function statusText(
  style: Style,
  { environment, migrations, unfinished }: MigrationStatus,
  evidence: Evidence,
): string {
  if (migrations.length === 0) return `${environment}: there are no migrations.`;
  // One environment says of itself what the database says; of others, only their receipts do (M48).
  const elsewhere = migrations.map(({ migrationId }) =>
    elsewhereText(evidence.get(migrationId), environment),
  );
  const hasElsewhere = elsewhere.some((text) => text !== '');
  const heads = [
    { head: 'migration' },
    { head: 'status' },
    { head: 'last run' },
    ...(hasElsewhere ? [{ head: 'elsewhere' }] : []),
    { head: '' },
  ];
  const table = tableText(
    style,
    heads,
    migrations.map((state, at) => [
      state.migrationId,
      stateText(style, state),
      state.at ?? '',
      ...(hasElsewhere ? [elsewhere[at] ?? ''] : []),
      state.drifted ? style('red', 'files changed since') : letGoText(state),
    ]),
  );
  const open = unfinished.map((run) => {
    const { migrationId, direction, phase, since } = run;
    return `${style('yellow', 'unfinished')}  ${migrationId} ${direction}, ${phase} since ${since}: ${wayOn(run)}`;
  });
  return [table, ...open].join('\n');
}

function elsewhereText(statuses: readonly EnvironmentStatus[] = [], here: string): string {
  return statuses
    .filter(({ environment }) => environment !== here)
    .flatMap(({ environment, stands, wasRolledBack }) =>
      stands ? [environment] : wasRolledBack ? [`${environment}, rolled back`] : [],
    )
    .join('; ');
}

function letGoText({ letGoAt }: MigrationState): string {
  return letGoAt === undefined ? '' : `history let go ${letGoAt}`;
}

/** What is decided only lacks its receipt; what is not can go on in its own direction, or be undone. */
function wayOn({ migrationId, direction, phase }: UnfinishedRun): string {
  if (phase === 'committed' || phase === 'undone') return 'run varve recover to complete it';
  const verb = direction === 'forward' ? 'apply' : direction;
  return `run varve ${verb} ${migrationId} to go on, varve recover to undo`;
}

const COLOURS = {
  pending: 'yellow',
  applied: 'green',
  rolled_back: 'cyan',
  missing: 'red',
  invalid: 'red',
} as const satisfies Record<MigrationState['status'], string>;

function stateText(style: Style, { status }: MigrationState): string {
  return style(COLOURS[status], status.replace('_', ' '));
}

/** Nobody reads more at once; `--json` has them all. */
const ADOPTED_SHOWN = 20;

/** What was taken over from other tools: the last ones, and every one whose file is not the same. */
function adoptedLines(style: Style, adopted: readonly AdoptedMigration[]): readonly string[] {
  if (adopted.length === 0) return [];
  const shown = adopted.filter(({ file }, at) => file !== 'same' || at >= adopted.length - ADOPTED_SHOWN);
  const table = tableText(
    style,
    [{ head: 'adopted' }, { head: 'tool' }, { head: 'checksum' }, { head: '' }],
    shown.map(({ tool, item, file }) => [
      item.id,
      tool,
      shortChecksum(item.checksum),
      file === 'same' ? '' : style('red', file === 'missing' ? 'file missing' : 'file changed since'),
    ]),
  );
  const rest = adopted.length - shown.length;
  return rest > 0 ? [table, `and ${rest} adopted before`] : [table];
}

/** A table that was superseded, or rows of one that were overwritten. */
type InHistory = Pick<SupersededStructure, 'migrationId' | 'rows' | 'sizeBytes'>;

/** What history takes. */
interface HistoryCost {
  readonly tables: number;
  readonly rows: number;
  readonly sizeBytes: number;
}

function costOf(structures: readonly InHistory[]): HistoryCost {
  return {
    tables: structures.length,
    rows: structures.reduce((sum, { rows }) => sum + rows, 0),
    sizeBytes: structures.reduce((sum, each) => sum + each.sizeBytes, 0),
  };
}

/** A line for each migration that left something, and their sum where there are several. */
function historyLines(style: Style, structures: readonly InHistory[]): readonly string[] {
  const byMigration = [...Map.groupBy(structures, ({ migrationId }) => migrationId)];
  const lines = byMigration.map(([migrationId, own]) => {
    const way = migrationId === null ? '' : `; let go with varve retire ${migrationId}`;
    return `${style('dim', 'in history')}  ${costText(costOf(own))}${way}`;
  });
  return lines.length > 1
    ? [...lines, `${style('dim', 'in history')}  ${costText(costOf(structures))} in all`]
    : lines;
}

function costText({ tables, rows, sizeBytes }: HistoryCost): string {
  return `${countOf(tables, 'table')}, ${countOf(rows, 'row')}, ${sizeText(sizeBytes)}`;
}
