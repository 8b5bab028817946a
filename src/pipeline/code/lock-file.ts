/**
 * What a lock file says of installed packages. npm's map of places is followed place by place; of the other kinds, whose
 * packages are found where they are installed, it is asked which version belongs there and what else than the version
 * identifies a package.
 *
 * | file | places | versions | commit or content of what is from no registry | patches |
 * |---|---|---|---|---|
 * | `npm-shrinkwrap.json`, `package-lock.json` (2, 3) | yes | yes | yes | by `patches/NAME+VERSION.patch` |
 * | `pnpm-lock.yaml` (6, 9) | | yes | yes | yes |
 * | `yarn.lock` (1 and later) | | yes | yes | yes |
 * | `bun.lock` | | yes | yes | yes |
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { sha256Text } from './sha256-text.ts';

/** The part of a lock file's entry, or of a package.json, that counts here. */
export interface PackageEntry {
  readonly name?: string;
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** The nearest lock file upward. */
export interface LockFile {
  readonly file: string;
  readonly folder: string;
  /** npm: place below the folder to its entry. */
  readonly places: Readonly<Record<string, PackageEntry>> | undefined;
  /** Other kinds: name to its versions, each with what else identifies it, or an empty text. */
  readonly versionsByName: ReadonlyMap<string, ReadonlyMap<string, string>> | undefined;
}

const KINDS: readonly (readonly [file: string, read: (text: string) => Omit<LockFile, 'file' | 'folder'>])[] =
  [
    ['npm-shrinkwrap.json', readNpm],
    ['package-lock.json', readNpm],
    ['pnpm-lock.yaml', (text) => named(pnpmPackages(text))],
    ['yarn.lock', (text) => named(yarnPackages(text))],
    ['bun.lock', (text) => named(bunPackages(text))],
  ];

/** The names that a lock file may have. */
export const LOCK_FILES: readonly string[] = KINDS.map(([file]) => file);

/** Finds and reads the lock file of a project; one that cannot be read tells nothing, and what is installed decides. */
export function readLockFile(projectFolder: string): LockFile | undefined {
  for (let folder = projectFolder; ; folder = path.dirname(folder)) {
    for (const [name, read] of KINDS) {
      const file = path.join(folder, name);
      if (existsSync(file)) return { file, folder, ...readOr(read, file) };
    }
    if (path.dirname(folder) === folder) return undefined;
  }
}

const NOTHING: Omit<LockFile, 'file' | 'folder'> = { places: undefined, versionsByName: undefined };

function readOr(
  read: (text: string) => Omit<LockFile, 'file' | 'folder'>,
  file: string,
): Omit<LockFile, 'file' | 'folder'> {
  try {
    return read(readFileSync(file, 'utf8'));
  } catch {
    return NOTHING;
  }
}

function readNpm(text: string): Omit<LockFile, 'file' | 'folder'> {
  const { packages } = JSON.parse(text) as { readonly packages?: Readonly<Record<string, PackageEntry>> };
  // Before version 2 there was no map of places; then what is installed decides.
  return { places: packages, versionsByName: undefined };
}

interface Locked {
  readonly name: string;
  readonly version: string;
  /** Beside the version: a commit, a digest of a tarball or of a patch. */
  readonly identity: string;
}

function named(packages: readonly Locked[]): Omit<LockFile, 'file' | 'folder'> {
  const versionsByName = new Map<string, Map<string, string>>();
  for (const { name, version, identity } of packages) {
    const versions = versionsByName.get(name) ?? new Map<string, string>();
    const before = versions.get(version);
    versions.set(
      version,
      before === undefined || before === identity ? identity : [before, identity].toSorted().join(' '),
    );
    versionsByName.set(name, versions);
  }
  return { places: undefined, versionsByName };
}

interface PnpmLock {
  readonly packages?: Readonly<
    Record<
      string,
      {
        readonly name?: string;
        readonly version?: string;
        readonly resolution?: Readonly<Record<string, string>>;
      } | null
    >
  >;
  readonly patchedDependencies?: Readonly<Record<string, string | { readonly hash: string }>>;
}

/** `/name@1.0.0(peer@2.0.0)` or `name@https://...`, each with a `resolution`. */
function pnpmPackages(text: string): readonly Locked[] {
  const lock = parse(text) as PnpmLock;
  const patchOf = (name: string, version: string): string => {
    const patch = lock.patchedDependencies?.[`${name}@${version}`] ?? lock.patchedDependencies?.[name];
    return patch === undefined ? '' : `patch ${typeof patch === 'string' ? patch : patch.hash}`;
  };
  return Object.entries(lock.packages ?? {}).map(([key, entry]) => {
    const { name, rest } = splitDescriptor(key.replace(/^\//, '').replace(/\(.*$/, ''));
    const found = { name: entry?.name ?? name, version: entry?.version ?? rest };
    const { commit, tarball, integrity } = entry?.resolution ?? {};
    const origin = commit ?? (tarball === undefined ? '' : (integrity ?? tarball));
    return { ...found, identity: words(origin, patchOf(found.name, found.version)) };
  });
}

interface YarnEntry {
  readonly version?: string;
  readonly resolution?: string;
  readonly checksum?: string;
}

function yarnPackages(text: string): readonly Locked[] {
  return text.includes('__metadata:') ? yarnModern(text) : yarnClassic(text);
}

/** Entries with `version` and `resolution: "name@npm:1.0.0"`, `"name@patch:..."`, `"name@https://...#commit=..."`. */
function yarnModern(text: string): readonly Locked[] {
  const entries = parse(text) as Readonly<Record<string, YarnEntry>>;
  return Object.values(entries).flatMap(({ version, resolution, checksum }) => {
    if (version === undefined || resolution === undefined) return [];
    const { name, rest } = splitDescriptor(resolution);
    const isRegistered = rest.startsWith('npm:') && !rest.includes('::');
    return [{ name, version, identity: isRegistered ? '' : (checksum ?? rest) }];
  });
}

/** `"name@^1.0.0", name@1.x:` and below it, indented, `version "1.0.0"` and `resolved "https://..."`. */
function yarnClassic(text: string): readonly Locked[] {
  return text.split(/\n(?=\S)/).flatMap((block) => {
    const head = /^"?(?<descriptor>[^\s",]+@[^",:]*)/.exec(block)?.groups?.['descriptor'];
    const version = /^\s+version "(?<value>[^"]*)"/m.exec(block)?.groups?.['value'];
    if (head === undefined || version === undefined) return [];
    const resolved = /^\s+resolved "(?<value>[^"]*)"/m.exec(block)?.groups?.['value'];
    return [{ name: splitDescriptor(head).name, version, identity: unregistered(resolved, undefined) }];
  });
}

/** `"name": ["name@1.0.0", "", {}, "sha512-..."]`, in JSON with commas at ends of lists, which YAML reads. */
function bunPackages(text: string): readonly Locked[] {
  const lock = parse(text) as {
    readonly packages?: Readonly<Record<string, readonly unknown[]>>;
    readonly patchedDependencies?: Readonly<Record<string, string>>;
  };
  return Object.values(lock.packages ?? {}).flatMap(([descriptor]) => {
    if (typeof descriptor !== 'string') return [];
    const { name, rest } = splitDescriptor(descriptor);
    const patch = lock.patchedDependencies?.[descriptor] ?? '';
    // A package from elsewhere has its origin where others have a version; which one it has is known when it is installed.
    return /^\d/.test(rest)
      ? [{ name, version: rest, identity: patch }]
      : [{ name, version: '*', identity: words(rest, patch) }];
  });
}

function splitDescriptor(descriptor: string): { readonly name: string; readonly rest: string } {
  const at = descriptor.indexOf('@', 1);
  return at === -1
    ? { name: descriptor, rest: '' }
    : { name: descriptor.slice(0, at), rest: descriptor.slice(at + 1) };
}

/** A package from elsewhere than a registry may change and keep its version: its commit or content stands beside it. */
export function unregistered(resolved: string | undefined, integrity: string | undefined): string {
  if (resolved === undefined || resolved.includes('/-/')) return '';
  const commit = /#([0-9a-f]{7,64})$/.exec(resolved)?.[1];
  return commit ?? integrity ?? resolved;
}

/** The digest of what `patches/NAME+VERSION.patch` does to a package, as tools that patch after installing keep it. */
export function patchOf(
  folder: string,
  name: string,
  version: string,
): { readonly file: string; readonly identity: string } {
  const file = path.join(folder, 'patches', `${name.replace('/', '+')}+${version}.patch`);
  return { file, identity: existsSync(file) ? `patch ${sha256Text(readFileSync(file))}` : '' };
}

/** The parts that say something, in a row. */
export function words(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}
