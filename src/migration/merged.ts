/** What was merged: it is not edited, deleted or renumbered any more (M6, M51). */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import { isProduct, manifestDigest, manifestEntry, type MergeState } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { openRepository, type Repository } from './git.ts';
import { parseMigrationId } from './migration-id.ts';
import { parseRegistry, readRegistry, REGISTRY, type Registry } from './registry.ts';

/** Whether a bundle, as it is, was merged: on the main branch, or, without version control, frozen in the registry. */
export async function isMerged(root: string, bundle: Bundle): Promise<boolean> {
  const repository = await openRepository(dirname(root));
  const commit = await repository?.mainCommit();
  if (repository !== undefined && commit !== undefined) {
    const folders = await mergedBundles(repository, commit, root);
    return folders.get(bundle.id)?.digest === bundle.digest;
  }
  const reading = await readRegistry(root);
  if (reading.status === 'refused') return false;
  const entry = reading.registry.migrations.find(({ id }) => id === bundle.id);
  const frozen = entry?.history.find(({ status }) => status === 'merged');
  return frozen?.bundle_digest === bundle.digest;
}

/** Whether a bundle was merged in whatever state, by version control; without it the registry alone says so. */
export async function mergeStateOf(root: string, id: string): Promise<MergeState> {
  const repository = await openRepository(dirname(root));
  // There may be version control that nobody here can read.
  if (repository === undefined) return hasGitAbove(root) ? 'unknown' : 'not_merged';
  const commit = await repository.mainCommit();
  // Before the first commit nothing was merged; a project with commits has a main branch, here or elsewhere.
  if (commit === undefined)
    return (await repository.resolve('HEAD')) === undefined ? 'not_merged' : 'unknown';
  const isHeld = await repository.holds(commit, join(root, parseMigrationId(id)?.kind ?? '', id));
  return isHeld === undefined ? 'unknown' : isHeld ? 'merged' : 'not_merged';
}

function hasGitAbove(folder: string): boolean {
  const above = dirname(folder);
  return existsSync(join(folder, '.git')) || (above !== folder && hasGitAbove(above));
}

/** A bundle as it stands in version control. */
export interface MergedBundle {
  readonly id: string;
  readonly digest: string;
  /** The text of its `migration.yml`. */
  readonly declaration: string;
}

/** What version control has of a project's migrations. */
export interface MergedState {
  readonly bundles: ReadonlyMap<string, MergedBundle>;
  readonly registry: Registry | undefined;
}

/** The migrations at a revision. Errors: refuses with `revision_unknown`. */
export async function readMerged(
  root: string,
  revision: string,
): Promise<
  | { readonly status: 'ok'; readonly merged: MergedState }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] }
> {
  const repository = await openRepository(dirname(root));
  const commit = await repository?.resolve(revision);
  if (repository === undefined || commit === undefined) {
    const hint =
      repository === undefined
        ? 'Run this in a clone of the project, with git installed.'
        : 'Fetch the revision first, such as with `git fetch origin main`, and name it as git does.';
    return { status: 'refused', findings: [refusal('revision_unknown', revision, { hint })] };
  }
  const bundles = await mergedBundles(repository, commit, root);
  const bytes = (await repository.readFolder(commit, join(root, 'registry'))).get(
    REGISTRY.split('/')[1] ?? '',
  );
  const reading = bytes === undefined ? undefined : await parseRegistry(bytes);
  return {
    status: 'ok',
    merged: { bundles, registry: reading?.status === 'ok' ? reading.registry : undefined },
  };
}

async function mergedBundles(
  repository: Repository,
  commit: string,
  root: string,
): Promise<ReadonlyMap<string, MergedBundle>> {
  const files = await repository.readFolder(commit, root);
  const folders = Map.groupBy(files, ([path]) => path.split('/').slice(0, 2).join('/'));
  const bundles = new Map<string, MergedBundle>();
  for (const [folder, entries] of folders) {
    const [kind, id = ''] = folder.split('/');
    if (parseMigrationId(id)?.kind !== kind) continue;
    const inside = entries.map(([path, bytes]): readonly [string, Uint8Array] => [
      path.slice(folder.length + 1),
      bytes,
    ]);
    const authored = inside.filter(([path]) => !isProduct(path));
    const digest = manifestDigest(authored.map(([path, bytes]) => manifestEntry(path, bytes)));
    const text = authored.find(([path]) => path === 'migration.yml')?.[1];
    bundles.set(id, { id, digest, declaration: new TextDecoder().decode(text ?? new Uint8Array()) });
  }
  return bundles;
}

/** What was merged and is not as it was; `present` are the bundles that can be read now, `ids` all that there are (M6, M51). */
export function mergedFindings(
  { bundles }: MergedState,
  present: readonly Pick<Bundle, 'id' | 'digest'>[],
  ids: readonly string[],
): readonly Finding[] {
  const digestById = new Map(present.map(({ id, digest }) => [id, digest]));
  return [...bundles.values()].flatMap(({ id, digest }) => {
    const found = digestById.get(id);
    if (!ids.includes(id)) {
      const hint = 'Bring it back: what was merged is neither deleted nor renumbered.';
      return [
        refusal('bundle_changed', id, { detail: { reason: 'merged_and_removed', merged: digest }, hint }),
      ];
    }
    if (found === undefined || found === digest) return [];
    const hint =
      'Take the files back as they were merged, line endings included; write a correction as a new bundle.';
    return [
      refusal('bundle_changed', id, { detail: { reason: 'merged_and_edited', merged: digest, found }, hint }),
    ];
  });
}
