// What people bring: the packages that this product ships with.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The repository whose packages are weighed: this one. */
const REPOSITORY = join(import.meta.dirname, '../..');

/** A row of `audit.package`. */
export interface ShippedPackage {
  readonly path: string;
  readonly version: string;
}

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** Every package of the lock file that is shipped and installed. */
export function shippedPackages(): readonly ShippedPackage[] {
  const text = readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, LockedPackage>> };
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
    .filter(([path]) => existsSync(join(REPOSITORY, path, 'package.json')))
    .map(([path, { version }]) => ({ path, version: version ?? 'unknown' }));
}
