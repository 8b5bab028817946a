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

interface LockFile {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
}

/** Inserts every package that the lock file lists and that is installed on this platform, and the policies. */
export async function seed(store: Store): Promise<{ readonly listed: number; readonly installed: number }> {
  const lockFile = JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')) as LockFile;
  const listed = Object.entries(lockFile.packages).filter(([path]) => path !== '');
  const installed = listed.filter(([path]) => existsSync(join(REPOSITORY, path, 'package.json')));
  const packages = installed.map(([path, found]) => ({
    path,
    name: found.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version: found.version ?? 'unknown',
    integrity: found.integrity ?? null,
    dev: found.dev ?? false,
  }));
  const outcomes = [
    await insertRows(store, Package, packages, { source: 'package-lock.json', actor: 'example' }),
    await insertRows(store, LicensePolicy, POLICIES, { source: 'a meeting in May', actor: 'example' }),
  ];
  for (const outcome of outcomes) {
    if (outcome.status === 'refused') throw new TypeError(JSON.stringify(outcome.findings));
  }
  return { listed: listed.length, installed: installed.length };
}

/** A verdict to follow through the story. */
export interface Case {
  readonly path: string;
  readonly license: string;
  /** How many packages have this licence. */
  readonly packages: number;
}

/** A package of the rarest licence that may be used: a change of its policy reaches few of many. */
export async function chooseCase(store: Store): Promise<Case> {
  const [found] = await store.query<{ path: string; license: string; packages: number }>(sql`
    select min(path collate "C") as path, license, count(*)::integer as packages
    from audit.license_verdict where allowed group by license order by packages, license collate "C" limit 1`);
  if (found === undefined) throw new TypeError('no package may be used: nothing was populated');
  return found;
}

/** A decision: from now on no package under this licence may be used. */
export async function forbid(store: Store, license: string): Promise<void> {
  await store.execute(sql`
    update audit.license_policy set allowed = false, note = 'needs a decision of its own' where license = ${license}`);
}
