/**
 * The versions of packages and of all that they depend on, found as Node finds them: the nearest `node_modules` upward.
 *
 * The lock file (see `lock-file.ts`) says what belongs there; where what is installed differs, both are told, since the
 * installed one is what runs.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { folderDigest } from './folder-digest.ts';
import {
  LOCK_FILES,
  patchOf,
  readLockFile,
  unregistered,
  words,
  type LockFile,
  type PackageEntry,
} from './lock-file.ts';
import { projectPath } from './module-graph.ts';
import { realPath } from './resolve-module.ts';

/** A package at its place. */
interface Place {
  readonly folder: string;
  readonly locked: PackageEntry | undefined;
  readonly installed: PackageEntry | undefined;
}

/** The versions found, and the files that told them. */
export interface PackageVersions {
  readonly packages: Readonly<Record<string, string>>;
  readonly files: ReadonlySet<string>;
  /** Whether whole folders were read, which `files` does not list. */
  readonly readsFolders: boolean;
  /** Packages that are nowhere: a loader of its own may know them, by a map of paths for one. */
  readonly unknown: ReadonlySet<string>;
}

/** Prepares to ask for versions; the lock file and each package.json are read once. */
export function createPackageVersions(projectFolder: string): {
  readonly of: (importersByPackage: ReadonlyMap<string, ReadonlySet<string>>) => PackageVersions;
} {
  const lock = readLockFile(projectFolder);
  const reader = createReader();
  return {
    of: (importersByPackage) => {
      const walk: Walk = {
        lock,
        read: reader.read,
        versions: new Map(),
        visited: new Set(),
        unknown: new Set(),
        // A lock file of another kind that is written beside counts too, so their absence is kept in mind.
        files: new Set([
          ...LOCK_FILES.map((name) => path.join(projectFolder, name)),
          ...(lock === undefined ? [] : [lock.file]),
        ]),
        projectFolder,
      };
      for (const [name, importers] of importersByPackage) {
        if (name.startsWith('node:')) addVersion(walk, name, 'none');
        else importers.forEach((importer) => visitPackage(walk, name, path.dirname(importer), true));
      }
      return {
        packages: versionRecord(walk.versions),
        files: walk.files,
        unknown: walk.unknown,
        readsFolders: [...walk.versions.values()].some((found) =>
          [...found].some((version) => version.includes('sha256:')),
        ),
      };
    },
  };
}

interface Walk {
  readonly lock: LockFile | undefined;
  readonly projectFolder: string;
  readonly read: (file: string) => PackageEntry | undefined;
  readonly versions: Map<string, Set<string>>;
  readonly visited: Set<string>;
  readonly unknown: Set<string>;
  readonly files: Set<string>;
}

function visitPackage(walk: Walk, name: string, fromFolder: string, isRequired: boolean): void {
  const place = findPlace(walk, name, fromFolder);
  if (place === undefined) {
    if (isRequired) addVersion(walk, name, ownVersion(walk, name, fromFolder));
    return;
  }
  if (walk.visited.has(place.folder)) return;
  walk.visited.add(place.folder);
  walk.files.add(path.join(place.folder, 'package.json'));
  addVersion(walk, name, versionOf(walk, name, place));
  for (const next of new Set([...dependenciesOf(place.locked), ...dependenciesOf(place.installed)])) {
    // Node goes on from where a link leads.
    visitPackage(walk, next, realPath(place.folder), false);
  }
}

function dependenciesOf(entry: PackageEntry | undefined): readonly string[] {
  const { dependencies, optionalDependencies, peerDependencies } = entry ?? {};
  return Object.keys({ ...peerDependencies, ...optionalDependencies, ...dependencies });
}

function findPlace(walk: Walk, name: string, fromFolder: string): Place | undefined {
  for (let folder = fromFolder; ; folder = path.dirname(folder)) {
    if (path.basename(folder) !== 'node_modules') {
      const place = placeAt(walk, path.join(folder, 'node_modules', name));
      if (place !== undefined) return place;
    }
    if (path.dirname(folder) === folder) return undefined;
  }
}

function placeAt({ lock, read }: Walk, folder: string): Place | undefined {
  const locked = lock?.places?.[projectPath(lock.folder, folder)];
  const installed = read(path.join(folder, 'package.json'));
  return locked === undefined && installed === undefined ? undefined : { folder, locked, installed };
}

function versionOf(walk: Walk, name: string, { folder, locked, installed }: Place): string {
  const linked = linkedFolder(folder);
  // A linked folder is edited in place and keeps its version, so its content counts.
  if (linked !== undefined) return words(installed?.version ?? '', folderDigest(linked));
  const version = locked?.version ?? installed?.version ?? 'unknown';
  const other = installed?.version;
  const isOther = other !== undefined && locked?.version !== undefined && other !== locked.version;
  return words(
    version,
    locked === undefined ? '' : unregistered(locked.resolved, locked.integrity),
    lockedByName(walk, name, version),
    patched(walk, name, version),
    isOther ? `(installed ${other})` : '',
  );
}

/** What a lock file without places says of a version: what else identifies it, or that another one belongs here. */
function lockedByName({ lock }: Walk, name: string, version: string): string {
  const versions = lock?.versionsByName?.get(name);
  if (versions === undefined) return '';
  const identity = versions.get(version) ?? versions.get('*');
  return identity ?? `(locked ${[...versions.keys()].toSorted().join(', ')})`;
}

function patched({ lock, projectFolder, files }: Walk, name: string, version: string): string {
  const { file, identity } = patchOf(lock?.folder ?? projectFolder, name, version);
  files.add(file);
  return identity;
}

function linkedFolder(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const real = realpathSync(folder);
  return real.split(path.sep).includes('node_modules') ? undefined : real;
}

/** A package that imports itself by name, as varve's own examples do, is no dependency of any folder. */
function ownVersion({ read, files, unknown }: Walk, name: string, fromFolder: string): string {
  for (const start of [fromFolder, import.meta.dirname]) {
    for (let folder = start; path.dirname(folder) !== folder; folder = path.dirname(folder)) {
      const file = path.join(folder, 'package.json');
      const entry = read(file);
      if (entry?.name !== name) continue;
      files.add(file);
      return name === 'varve'
        ? (entry.version ?? 'unknown')
        : `${entry.version ?? ''} ${folderDigest(folder)}`;
    }
  }
  unknown.add(name);
  return 'not installed';
}

function addVersion({ versions }: Walk, name: string, version: string): void {
  versions.set(name, (versions.get(name) ?? new Set()).add(version));
}

function versionRecord(versions: ReadonlyMap<string, ReadonlySet<string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...versions]
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, found]) => [name, [...found].toSorted().join(', ')]),
  );
}

function createReader(): { readonly read: (file: string) => PackageEntry | undefined } {
  const known = new Map<string, PackageEntry | undefined>();
  return {
    read: (file) => {
      if (!known.has(file)) known.set(file, readJson(file));
      return known.get(file);
    },
  };
}

function readJson(file: string): PackageEntry | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    // A damaged package.json tells no version; Node would not load the package either.
    return undefined;
  }
}
