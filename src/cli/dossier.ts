import { systemClock, type JsonObject } from '../base/index.ts';
import type { Dossier } from '../migration/index.ts';
import type { Context } from './context.ts';
import { migrationSettings } from './migrations-config.ts';
import type { CommandResult, Style } from './output.ts';
import { migrationsRoot } from './runner.ts';
import { refusedResult } from './walk-output.ts';

/** `varve status ID`: one migration in one view (M60); no database is opened. */
export async function showDossier(context: Context, id: string): Promise<CommandResult> {
  const { dir, config } = await context.project();
  const migration = await import('../migration/index.ts');
  const outcome = await migration.readDossier(
    {
      root: migrationsRoot(dir),
      settings: migrationSettings(config.migrations, migration.DEFAULT_SETTINGS),
      environment: context.options.env,
      clock: systemClock,
    },
    id,
  );
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  const { dossier } = outcome;
  return { status: 'ok', fields: { ...dossier }, text: (style) => dossierText(style, dossier) };
}

function dossierText(style: Style, dossier: Dossier): string {
  const { migrationId, change, justification, rehearsal, runs, inputs, lacks } = dossier;
  const part = (head: string, lines: readonly string[]): readonly string[] =>
    lines.length === 0 ? [] : [style('bold', head), ...lines.map((line) => `  ${line}`)];
  const stale = (isOfTheseFiles: boolean): string => (isOfTheseFiles ? '' : ', of other files than these');
  return [
    `${style('bold', migrationId)}  ${change.intent}`,
    ...part('Change', [
      `${change.kind}, ${change.change_class}`,
      ...namesOf(change.scope).map(([name, list]) => `${name}: ${list}`),
      ...namesOf(change.limits).map(([name, cap]) => `${name}: ${cap}`),
    ]),
    ...part(
      'Inputs',
      inputs.map(({ path, digest }) => `${path}  ${digest}`),
    ),
    ...part('Why', [
      ...justification.why.split('\n').filter((line) => line.trim() !== ''),
      ...(justification.reference === null ? [] : [`See ${justification.reference}`]),
    ]),
    ...part(
      'Signed',
      justification.signatures.map(
        ({ principal, grants, environment, issuedAt, exceptions, isOfTheseFiles }) => {
          const but = exceptions.length === 0 ? '' : `, although ${exceptions.join(', ')}`;
          return `${principal} for ${grants.join(', ')} in ${environment}, ${issuedAt}${but}${stale(isOfTheseFiles)}`;
        },
      ),
    ),
    ...part(
      'Rehearsed',
      rehearsal === null
        ? []
        : [
            `${rehearsal.rung === null ? 'way back not proved' : rehearsal.rung}${stale(rehearsal.isOfTheseFiles)}`,
          ],
    ),
    ...part(
      'Runs',
      runs.flatMap(({ environment, direction, outcome, level, finishedAt, receipt, products }) => [
        `${environment} ${direction}: ${outcome}, ${level}, ${finishedAt}`,
        `  receipt  ${receipt}`,
        ...products.map(({ path, digest }) => `  ${path}  ${digest}`),
      ]),
    ),
    ...(lacks.length === 0 ? ['Done.'] : part('Lacks', lacks)),
  ].join('\n');
}

function namesOf(value: JsonObject): readonly (readonly [string, string])[] {
  return Object.entries(value).flatMap(([name, has]): readonly (readonly [string, string])[] => {
    const text = Array.isArray(has) ? has.join(', ') : JSON.stringify(has);
    return text === '' ? [] : [[name, text]];
  });
}
