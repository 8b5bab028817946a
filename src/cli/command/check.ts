import type { Command } from 'commander';
import { join } from 'node:path';
import { isVarveError, type Finding } from '../../base/index.ts';
import { checkRecordedReads, checkSource, definitionsOf, type Definitions } from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Project } from '../config.ts';
import type { Context } from '../context.ts';
import { errorFinding } from '../failure.ts';
import type { CheckPart } from '../format/check-part.ts';
import { formatOption, partsResult, type Format } from '../format/format-parts.ts';
import { migrationSettings } from '../migrations-config.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import { storeToRead } from '../open-project-world.ts';

/** `varve check` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve check', 'varve check --format sarif > varve.sarif', 'varve check --json'])
    .addOption(formatOption())
    .action(act((context, { format }: { readonly format: Format }) => run(context, format)));
}

async function run(context: Context, format: Format): Promise<CommandResult> {
  const parts = await checkProject(context);
  return partsResult(parts, { format, command: 'varve check', text: (style) => partsText(style, parts) });
}

/** Each part that needs another stops where that one refuses: without definitions there are no sources to look at. */
async function checkProject(context: Context): Promise<readonly CheckPart[]> {
  const project = await projectOrFinding(context);
  if ('code' in project) return [{ name: 'definitions', checked: 0, findings: [project] }];
  const defined = definitionsOf(project.config.pipelines ?? []);
  const migrations = await checkMigrations(project);
  if (defined.status === 'refused') {
    return [{ name: 'definitions', checked: 0, findings: defined.findings }, migrations];
  }
  const { definitions } = defined;
  return [
    { name: 'definitions', checked: definitions.set.tables.length, findings: [] },
    await checkSources(project, definitions),
    await checkReads(context, definitions),
    migrations,
    ...(await checkAdopted(project)),
  ];
}

async function projectOrFinding(context: Context): Promise<Project | Finding> {
  try {
    return await context.project();
  } catch (error) {
    // A folder without any project is a call that cannot be followed; a project that is not usable is a finding.
    if (isVarveError(error, 'config_missing')) throw error;
    return refusalOf(error, 'error');
  }
}

/** Only what varve itself says can be told as a finding; a fault is thrown on. */
function refusalOf(thrown: unknown, severity: 'error' | 'info'): Finding {
  if (!isVarveError(thrown)) throw thrown;
  return errorFinding(thrown, severity);
}

async function checkSources(project: Project, definitions: Definitions): Promise<CheckPart> {
  const tables = [...definitions.tableByName.values()];
  const made = tables.filter(({ definition }) => (definition.make ?? definition.makeWith) !== undefined);
  const findings = await checkSource(tables, { projectFolder: project.dir });
  return { name: 'sources', checked: made.length, findings };
}

/** Without a database there is nothing to say about what was read, and a check in CI often has none. */
async function checkReads(context: Context, definitions: Definitions): Promise<CheckPart> {
  const name = 'recordedReads';
  try {
    const store = await storeToRead(context);
    const made = definitions.set.tables.filter(({ form }) => form !== undefined);
    return { name, checked: made.length, findings: await checkRecordedReads(store, definitions) };
  } catch (error) {
    return { name, checked: 0, findings: [refusalOf(error, 'info')] };
  }
}

async function checkMigrations({ dir, config }: Project): Promise<CheckPart> {
  const { checkBundles, DEFAULT_SETTINGS, findingInProject, lintBundle } =
    await import('../../migration/index.ts');
  const settings = migrationSettings(config.migrations, DEFAULT_SETTINGS);
  const { bundles, findings } = await checkBundles(join(dir, 'migrations'), settings);
  const own = await Promise.all(
    bundles.map(async ({ id, bundle, findings: found }) => {
      const linted = bundle === undefined ? [] : await lintBundle(bundle);
      return [...found, ...linted].map((finding) => findingInProject(id, finding));
    }),
  );
  return { name: 'migrations', checked: bundles.length, findings: [...own.flat(), ...findings] };
}

/** The files of migrations that were taken over from another tool; no part where there are none. */
async function checkAdopted({ dir }: Project): Promise<readonly CheckPart[]> {
  const { adoptedFindings, adoptedMigrations, findAdoptions } = await import('../../migration/index.ts');
  const root = join(dir, 'migrations');
  const adoptions = (await findAdoptions(root)).filter(({ isTakenBack }) => !isTakenBack);
  if (adoptions.length === 0) return [];
  const migrations = await adoptedMigrations(root, adoptions);
  return [{ name: 'adopted', checked: migrations.length, findings: adoptedFindings(migrations) }];
}

const TITLES: Readonly<Record<string, string>> = {
  definitions: 'tables defined',
  sources: 'makes read for what they do not declare',
  recordedReads: 'tables whose recorded reads were compared',
  migrations: 'migration bundles',
  adopted: 'migrations of other tools',
};

function partsText(style: Style, parts: readonly CheckPart[]): string {
  return tableText(
    style,
    [{ head: 'check' }, { head: 'checked', align: 'right' }, { head: 'findings', align: 'right' }],
    parts.map(({ name, checked, findings }) => [
      TITLES[name] ?? name,
      countText(checked),
      findings.length === 0
        ? '0'
        : style(
            findings.some(({ severity }) => severity === 'error') ? 'red' : 'yellow',
            countText(findings.length),
          ),
    ]),
  );
}
