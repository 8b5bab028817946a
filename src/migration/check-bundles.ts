/** Everything about the bundles of a project that needs no database: the first gate, and a part of `varve check`. */
import { refusal, type Finding } from '../base/index.ts';
import { listBundles, readBundle, type Bundle } from './bundle.ts';
import { classFindings } from './change-class.ts';
import { ANY_APPROVER } from './declaration.ts';
import { readDeclaration } from './read-declaration.ts';
import { approvalNames } from './find-approvals.ts';
import { isMerged, mergedFindings, readMerged, type MergedState } from './merged.ts';
import { parseMigrationId } from './migration-id.ts';
import { notesFindings } from './notes.ts';
import { orderBundles, orderedBundle } from './order.ts';
import { readPlanFile } from './plan-file.ts';
import { registryFileFindings } from './registry-files.ts';
import { claimFindings, readEnvironmentStatuses } from './registry-status.ts';
import { lostHistory, missingEntries, readRegistry, type Registry } from './registry.ts';
import type { MigrationSettings } from './settings.ts';
import { widenedFindings } from './widened.ts';

/** What was found about one bundle, or, without an id, about all of them together. */
export interface CheckedBundle {
  readonly id: string;
  /** Undefined where it cannot be used; the findings say why. */
  readonly bundle: Bundle | undefined;
  readonly findings: readonly Finding[];
}

/** The bundles of a project with what is wrong in them, and what is wrong between them. */
export interface BundleCheck {
  readonly bundles: readonly CheckedBundle[];
  readonly findings: readonly Finding[];
}

/** Checks every bundle; with `base`, also against what version control has at that revision (M6, M51, M52). */
export async function checkBundles(
  root: string,
  settings: MigrationSettings,
  base?: string,
): Promise<BundleCheck> {
  const ids = await listBundles(root);
  const readings = await Promise.all(ids.map(async (id) => ({ id, reading: await readBundle(root, id) })));
  const present = readings.flatMap(({ reading }) => (reading.status === 'ok' ? [reading.bundle] : []));
  const merged = base === undefined ? undefined : await readMerged(root, base);
  const state = merged?.status === 'ok' ? merged.merged : undefined;
  const bundles = await Promise.all(
    readings.map(async ({ id, reading }): Promise<CheckedBundle> => {
      if (reading.status === 'refused') return { id, bundle: undefined, findings: reading.findings };
      const { bundle } = reading;
      return { id, bundle, findings: await bundleFindings(bundle, settings, state) };
    }),
  );
  const order = orderBundles(present.map(orderedBundle));
  return {
    bundles,
    findings: [
      ...(order.status === 'refused' ? order.findings : []),
      ...(merged?.status === 'refused' ? merged.findings : []),
      ...(state === undefined ? [] : mergedFindings(state, present, ids)),
      ...(await registryFindings(root, present, { ids, before: state?.registry })),
    ],
  };
}

async function bundleFindings(
  bundle: Bundle,
  settings: MigrationSettings,
  merged: MergedState | undefined,
): Promise<readonly Finding[]> {
  return [
    ...notesFindings(bundle, settings),
    ...settingsFindings(bundle, settings),
    ...classFindings(bundle, []),
    ...(await grownFindings(bundle, merged)),
  ];
}

/** What the project's settings say against a declaration: canonical zones (M54) and reviewers that nobody knows. */
export function settingsFindings(
  { id, declaration }: Pick<Bundle, 'id' | 'declaration'>,
  settings: MigrationSettings,
): readonly Finding[] {
  const zones = settings.canonicalZones.map((zone) => zone.toLowerCase());
  // Another kind than these has no such lists.
  const names = Object.entries(declaration.scope).flatMap(([key, list]) =>
    key === 'allowed_schemas'
      ? list
      : key === 'allowed_tables'
        ? list.filter((name) => name.includes('.'))
        : [],
  );
  const named = names.map((name) => name.split('.')[0] ?? '');
  const inZone = [...new Set(named)].filter((schema) => zones.includes(schema.toLowerCase()));
  const findings = (declaration.type === 'pipeline' ? [] : inZone).map((schema) =>
    refusal('scope_violation', id, {
      detail: { reason: 'canonical_zone', schema },
      hint: 'Change this zone through the pipeline that fills it: its definitions say what becomes of the rows.',
    }),
  );
  const unknown = declaration.approvals.required_reviewers.filter(
    (name) =>
      name.startsWith('group:') &&
      name !== ANY_APPROVER &&
      !Object.hasOwn(settings.groups ?? {}, name.slice('group:'.length)),
  );
  return [
    ...findings,
    ...unknown.map((reviewer) =>
      refusal('declaration_invalid', id, {
        detail: { reason: 'no_such_group', reviewer },
        hint: `Define it under migrations.groups in varve.config.ts, or name ${ANY_APPROVER}.`,
      }),
    ),
  ];
}

/** What a bundle allows more than it did where it was planned and signed, or at the revision that it is compared with. */
async function grownFindings(bundle: Bundle, merged: MergedState | undefined): Promise<readonly Finding[]> {
  const { id, kind, declaration, digest } = bundle;
  const before = merged?.bundles.get(id);
  if (before !== undefined && before.digest !== digest) {
    const reading = await readDeclaration(before.declaration, { id, kind });
    if (reading.status === 'ok') return widenedFindings(id, reading.declaration, declaration);
  }
  const plan = await readPlanFile(bundle);
  if (plan === undefined || plan.bundle_digest === digest) return [];
  // Of a draft that nobody signed, nothing is void.
  if ((await approvalNames(bundle)).length === 0) return [];
  // A plan holds scope and limits alone; of the rest nothing is said.
  const { scope, limits } = plan.bound as unknown as Pick<typeof declaration, 'scope' | 'limits'>;
  return widenedFindings(id, { ...declaration, scope, limits }, declaration);
}

async function registryFindings(
  root: string,
  bundles: readonly Bundle[],
  { ids, before }: { readonly ids: readonly string[]; readonly before: Registry | undefined },
): Promise<readonly Finding[]> {
  const reading = await readRegistry(root);
  if (reading.status === 'refused') return reading.findings;
  const { registry } = reading;
  const statuses = await readEnvironmentStatuses(root);
  const claimed = registry.migrations.filter(({ history }) =>
    history.some(({ status }) => status === 'merged'),
  );
  const merged = new Set<string>();
  for (const { id } of claimed) {
    const bundle = bundles.find((each) => each.id === id);
    if (bundle !== undefined && (await isMerged(root, bundle))) merged.add(id);
  }
  const approved = new Set<string>();
  for (const bundle of bundles) if ((await approvalNames(bundle)).length > 0) approved.add(bundle.id);
  return [
    ...missingEntries(registry, ids),
    ...(await registryFileFindings(root)),
    ...(before === undefined ? [] : lostHistory(before, registry)),
    ...claimFindings(registry, bundles, {
      statuses,
      isMerged: (id) => merged.has(id),
      isApproved: (id) => approved.has(id),
    }),
  ];
}

/** A finding of a bundle with the path of its file in the project; it speaks of its own files by their names in it. */
export function findingInProject(id: string, finding: Finding): Finding {
  const folder = `migrations/${parseMigrationId(id)?.kind ?? ''}/${id}`;
  const { file } = finding.detail;
  // What names its file in the detail speaks of something in it, such as a table.
  if (typeof file === 'string')
    return { ...finding, detail: { ...finding.detail, file: `${folder}/${file}` } };
  return { ...finding, subject: finding.subject === id ? folder : `${folder}/${finding.subject}` };
}
