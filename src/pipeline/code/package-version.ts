/**
 * The versions of packages and of all that they depend on, found as Node finds them: the nearest `node_modules` upward.
 *
 * `package-lock.json` says what belongs there; where what is installed differs, both are told, since the installed one
 * is what runs.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { folderDigest } from './folder-digest.ts';
import { projectPath } from './module-graph.ts';

/** The part of a lock file's entry, or of a package.json, that counts here. */
interface PackageEntry {
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  readonly folder: string;
  readonly packages: Readonly<Record<string, PackageEntry>>;
}

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
}

/** Prepares to ask for versions; the lock file and each package.json are read once. */
export function createPackageVersions(projectFolder: string): {
  readonly of: (importersByPackage: ReadonlyMap<string, ReadonlySet<string>>) => PackageVersions;
} {
  const lockFile = findUpward(projectFolder, 'package-lock.json');
  const reader = createReader();
  const lock = lockOf(lockFile, reader.read);
  return {
    of: (importersByPackage) => {
      const walk: Walk = {
        lock,
        read: reader.read,
        versions: new Map(),
        visited: new Set(),
        files: new Set([lockFile ?? path.join(projectFolder, 'package-lock.json')]),
      };
      for (const [name, importers] of importersByPackage) {
        if (name.startsWith('node:')) addVersion(walk, name, 'none');
        else importers.forEach((importer) => visitPackage(walk, name, path.dirname(importer), true));
      }
      return {
        packages: versionRecord(walk.versions),
        files: walk.files,
        readsFolders: [...walk.versions.values()].some((found) =>
          [...found].some((version) => version.includes('sha256:')),
        ),
      };
    },
  };
}

interface Walk {
  readonly lock: Lock | undefined;
  readonly read: (file: string) => PackageEntry | undefined;
  readonly versions: Map<string, Set<string>>;
  readonly visited: Set<string>;
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
  addVersion(walk, name, versionOf(place));
  // The lock file's entry of a link names its folder and nothing else; Node goes on from that folder.
  const entry = place.locked?.link === true ? place.installed : (place.locked ?? place.installed);
  const { dependencies, optionalDependencies, peerDependencies } = entry ?? {};
  for (const next of Object.keys({ ...peerDependencies, ...optionalDependencies, ...dependencies })) {
    visitPackage(walk, next, linkedFolder(place.folder) ?? place.folder, false);
  }
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
  const locked = lock?.packages[projectPath(lock.folder, folder)];
  const installed = read(path.join(folder, 'package.json'));
  return locked === undefined && installed === undefined ? undefined : { folder, locked, installed };
}

function versionOf({ folder, locked, installed }: Place): string {
  const linked = linkedFolder(folder);
  // A linked folder is edited in place and keeps its version, so its content counts.
  if (linked !== undefined) return `${installed?.version ?? ''} ${folderDigest(linked)}`.trim();
  if (locked?.version === undefined) return installed?.version ?? 'unknown';
  const version = `${locked.version}${unregistered(locked)}`;
  const other = installed?.version;
  return other === undefined || other === locked.version ? version : `${version} (installed ${other})`;
}

function linkedFolder(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const real = realpathSync(folder);
  return real.split(path.sep).includes('node_modules') ? undefined : real;
}

/** A package from elsewhere than a registry may change and keep its version: its commit or content stands beside it. */
function unregistered({ resolved, integrity }: PackageEntry): string {
  if (resolved === undefined || resolved.includes('/-/')) return '';
  const commit = /#([0-9a-f]{7,64})$/.exec(resolved)?.[1];
  const identity = commit ?? integrity;
  return identity === undefined ? '' : ` ${identity}`;
}

/** A package that imports itself by name, as varve's own examples do, is no dependency of any folder. */
function ownVersion({ read, files }: Walk, name: string, fromFolder: string): string {
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

function lockOf(
  file: string | undefined,
  read: (file: string) => PackageEntry | undefined,
): Lock | undefined {
  if (file === undefined) return undefined;
  const content = read(file) as { readonly packages?: Lock['packages'] } | undefined;
  // Before version 2 a lock file had no map of places; then what is installed decides.
  return content?.packages === undefined
    ? undefined
    : { folder: path.dirname(file), packages: content.packages };
}

function findUpward(folder: string, name: string): string | undefined {
  const file = path.join(folder, name);
  if (existsSync(file)) return file;
  const above = path.dirname(folder);
  return above === folder ? undefined : findUpward(above, name);
}
