// What people bring: the packages of a lock file, and what is decided about licences.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { insertRows } from 'varve/pipeline';
import { sql, type Store } from 'varve/store';
import { LicensePolicy, Package } from './v1/pipeline.ts';

/** The repository whose packages are audited: this one. */
const REPOSITORY = join(import.meta.dirname, '../..');

const POLICIES = [
  { license: 'MIT', allowed: true, note: 'permissive' },
  { license: 'ISC', allowed: true, note: 'permissive' },
  { license: '0BSD', allowed: true, note: 'permissive' },
  { license: 'BSD-2-Clause', allowed: true, note: 'permissive' },
  { license: 'BSD-3-Clause', allowed: true, note: 'permissive' },
  { license: 'Apache-2.0', allowed: true, note: 'permissive, with a patent grant' },
  { license: 'MPL-2.0', allowed: true, note: 'copyleft by file: used unchanged' },
];

interface LockedPackage {
  readonly path: string;
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

/** What was brought, and one package to follow through the story. */
export interface Seeded {
  /** Packages in the lock file; the others are for other platforms. */
  readonly listed: number;
  readonly installed: number;
  readonly policies: number;
  readonly followed: Followed;
}

/** A package whose licence asks for more than a notice: one that a policy may well forbid some day. */
export interface Followed {
  readonly path: string;
  readonly license: string;
  readonly note: string;
}

/** Inserts every package that is listed and installed, and the policies. */
export async function seed(store: Store): Promise<Seeded> {
  const listed = readLockFile();
  const installed = listed.filter(({ path }) => existsSync(join(REPOSITORY, path, 'package.json')));
  const outcomes = [
    await insertRows(store, Package, installed.map(packageRow), {
      source: 'package-lock.json',
      actor: 'example',
    }),
    await insertRows(store, LicensePolicy, POLICIES, { source: 'a meeting in May', actor: 'example' }),
  ];
  for (const outcome of outcomes) {
    if (outcome.status === 'refused') throw new TypeError(JSON.stringify(outcome.findings));
  }
  const counts = { listed: listed.length, installed: installed.length, policies: POLICIES.length };
  return { ...counts, followed: choose(installed) };
}

/** A decision: from now on no package under this licence may be used. */
export async function forbid(store: Store, license: string, note: string): Promise<void> {
  await store.execute(sql`
    update audit.license_policy set allowed = false, note = ${note} where license = ${license}`);
}

function readLockFile(): readonly LockedPackage[] {
  const text = readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, LockedPackage>> };
  return Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, locked]) => ({ ...locked, path }));
}

function packageRow({ path, name, version, integrity, dev }: LockedPackage) {
  return {
    path,
    name: name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version: version ?? 'unknown',
    integrity: integrity ?? null,
    dev: dev ?? false,
  };
}

function choose(packages: readonly LockedPackage[]): Followed {
  const policy = POLICIES.find(({ license }) => license === COPYLEFT);
  const followed = packages.find(({ license }) => license === COPYLEFT);
  if (policy === undefined || followed === undefined) throw new TypeError(`no package is under ${COPYLEFT}`);
  return { path: followed.path, license: COPYLEFT, note: policy.note };
}

const COPYLEFT = 'MPL-2.0';
