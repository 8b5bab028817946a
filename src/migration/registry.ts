/** `registry/migrations.v1.json`: every bundle of the project with who answers for it and how far it came (M28). */
import { join } from 'node:path';
import { isoTime, refusal, type Clock, type Finding, type JsonObject } from '../base/index.ts';
import { validateSchema, type Digest } from '../evidence/index.ts';
import { writeDurable } from './durable.ts';
import { readIfThere } from './evidence-store.ts';
import { compareMigrationIds, parseMigrationId, type KindName } from './migration-id.ts';
import type { Refused } from './refused.ts';
import { writeRegistryFiles } from './registry-files.ts';
import { parseStrictJson } from './strict-json.ts';

/** Where it lies under the folder `migrations`. */
export const REGISTRY = 'registry/migrations.v1.json';

/** How far a migration can come. */
export const REGISTRY_STATUSES = [
  'draft',
  'approved',
  'merged',
  'executed_dev',
  'executed_stage',
  'executed_prod',
  'rolled_back',
  'superseded',
] as const;

/** How far a migration came. */
export type RegistryStatus = (typeof REGISTRY_STATUSES)[number];

/** A step of a migration's way; none is ever taken out or changed. */
export interface RegistryStep extends JsonObject {
  readonly status: RegistryStatus;
  readonly at: string;
  readonly by: string;
  /** The bundle as it was then. */
  readonly bundle_digest: Digest;
}

/** One migration. */
export interface RegistryEntry extends JsonObject {
  readonly id: string;
  readonly type: KindName;
  /** Principals or groups who answer for it. */
  readonly owners: readonly string[];
  /** That of the last step of `history`: a copy of what the evidence says (M48). */
  readonly status: RegistryStatus;
  /** Its folder, relative to the folder `migrations`. */
  readonly bundle: string;
  readonly history: readonly RegistryStep[];
}

/** All of them. */
export interface Registry extends JsonObject {
  readonly registry_version: 'v1';
  readonly migrations: readonly RegistryEntry[];
}

/** What of a bundle is entered. */
type EnteredBundle = { readonly id: string; readonly digest: Digest };

/** A registry, or why it cannot be used. */
export type RegistryReading = { readonly status: 'ok'; readonly registry: Registry } | Refused;

const EMPTY: Registry = { registry_version: 'v1', migrations: [] };

/** The registry of a project; empty where there is none. Errors: refuses with `registry_invalid`. */
export async function readRegistry(root: string): Promise<RegistryReading> {
  const bytes = await readIfThere(join(root, REGISTRY));
  return bytes === undefined ? { status: 'ok', registry: EMPTY } : parseRegistry(bytes);
}

/** A registry from the bytes of its file. */
export async function parseRegistry(bytes: Uint8Array): Promise<RegistryReading> {
  const parsed = parseStrictJson(new TextDecoder().decode(bytes));
  if ('reason' in parsed) return refused([invalid(REGISTRY, { reason: parsed.reason })]);
  const faults = await validateSchema('registry.v1', parsed.value);
  if (faults.length > 0) {
    return refused(
      faults
        .slice(0, 20)
        .map(({ pointer, rule }) => invalid(`${REGISTRY}#${pointer}`, { reason: 'schema', rule })),
    );
  }
  const registry = parsed.value as unknown as Registry;
  const findings = entryFindings(registry);
  return findings.length > 0 ? refused(findings) : { status: 'ok', registry };
}

/** What does not hold inside the registry alone: ids used twice (M3), ids and paths that fit nothing, a status of its own. */
function entryFindings({ migrations }: Registry): readonly Finding[] {
  const seen = new Set<string>();
  return migrations.flatMap(({ id, type, bundle, status, history }) => {
    const about = (reason: string): Finding => invalid(id, { reason });
    const findings: Finding[] = [];
    if (seen.has(id)) findings.push(about('id_used_twice'));
    seen.add(id);
    const parts = parseMigrationId(id);
    if (parts === undefined) findings.push(about('id'));
    else if (parts.kind !== type) findings.push(about('type_differs_from_prefix'));
    if (!isInside(bundle) || bundle.split('/').at(-1) !== id) findings.push(about('bundle_path'));
    if (history.at(-1)?.status !== status) findings.push(about('status_differs_from_history'));
    return findings;
  });
}

function isInside(path: string): boolean {
  const parts = path.split('/');
  return !/[\\:\0]/u.test(path) && parts.every((part) => part !== '' && part !== '.' && part !== '..');
}

/**
 * Enters a bundle as a draft.
 *
 * Errors: refuses with `registry_invalid` where the registry cannot be read or has the id already (M3).
 */
export async function registerBundle(
  root: string,
  bundle: EnteredBundle & { readonly kind: KindName },
  about: { readonly owners: readonly string[]; readonly by: string; readonly clock: Clock },
): Promise<RegistryReading> {
  const reading = await readRegistry(root);
  if (reading.status === 'refused') return reading;
  const { registry } = reading;
  if (registry.migrations.some(({ id }) => id === bundle.id))
    return refused([invalid(bundle.id, { reason: 'id_used_twice' })]);
  const entry: RegistryEntry = {
    id: bundle.id,
    type: bundle.kind,
    owners: about.owners,
    status: 'draft',
    bundle: `${bundle.kind}/${bundle.id}`,
    history: [stepOf('draft', bundle, about)],
  };
  await writeRegistryFiles(root);
  const migrations = [...registry.migrations, entry].toSorted((a, b) => compareMigrationIds(a.id, b.id));
  return writeRegistry(root, { ...registry, migrations });
}

/** Appends a step to a migration's history. Errors: refuses with `registry_invalid` where it has no entry. */
export async function appendStep(
  root: string,
  bundle: EnteredBundle,
  about: { readonly status: RegistryStatus; readonly by: string; readonly clock: Clock },
): Promise<RegistryReading> {
  const reading = await readRegistry(root);
  if (reading.status === 'refused') return reading;
  const { registry } = reading;
  if (!registry.migrations.some(({ id }) => id === bundle.id))
    return refused([invalid(bundle.id, { reason: 'no_entry' })]);
  const { status } = about;
  const migrations = registry.migrations.map((entry) =>
    entry.id === bundle.id
      ? { ...entry, status, history: [...entry.history, stepOf(status, bundle, about)] }
      : entry,
  );
  return writeRegistry(root, { ...registry, migrations });
}

function stepOf(
  status: RegistryStatus,
  { digest }: EnteredBundle,
  { by, clock }: { readonly by: string; readonly clock: Clock },
): RegistryStep {
  return { status, at: isoTime(clock.nowMs()), by, bundle_digest: digest };
}

async function writeRegistry(root: string, registry: Registry): Promise<RegistryReading> {
  const text = `${JSON.stringify(registry, null, 2)}\n`;
  await writeDurable(join(root, REGISTRY), new TextEncoder().encode(text));
  return { status: 'ok', registry };
}

/** Bundles without an entry and entries without a bundle (M28). */
export function missingEntries(registry: Registry, ids: readonly string[]): readonly Finding[] {
  const entered = registry.migrations.map(({ id }) => id);
  return [
    ...ids.filter((id) => !entered.includes(id)).map((id) => invalid(id, { reason: 'no_entry' })),
    ...entered.filter((id) => !ids.includes(id)).map((id) => invalid(id, { reason: 'no_bundle' })),
  ];
}

/** What of an earlier registry is gone or changed: history only grows (M28), and nothing that was entered leaves (M51). */
export function lostHistory(before: Registry, now: Registry): readonly Finding[] {
  const entryById = new Map(now.migrations.map((entry) => [entry.id, entry]));
  return before.migrations.flatMap(({ id, history }) => {
    const entry = entryById.get(id);
    if (entry === undefined) return [invalid(id, { reason: 'entry_removed' })];
    const kept = entry.history.slice(0, history.length);
    return JSON.stringify(kept) === JSON.stringify(history)
      ? []
      : [invalid(id, { reason: 'history_rewritten' })];
  });
}

const HINTS: Readonly<Record<string, string>> = {
  id_used_twice: 'Take the next free id: an id is used once for ever.',
  no_entry:
    'Enter it: `varve new` and `varve plan` do, and `varve gate --register` enters one that was copied here.',
  no_bundle: 'Bring its folder back from version control: a migration that was entered stays.',
  entry_removed: 'Take the entry back: what was entered stays.',
  history_rewritten: 'Take the steps back as they were: history only grows.',
  status_differs_from_history: 'Write the status of the last step of its history.',
};

function invalid(subject: string, detail: JsonObject & { readonly reason: string }): Finding {
  const hint = HINTS[detail.reason] ?? 'Take this file back from version control.';
  return refusal('registry_invalid', subject, { detail, hint });
}

function refused(findings: readonly Finding[]): Refused {
  return { status: 'refused', findings };
}
