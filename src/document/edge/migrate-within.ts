import { migrateItem, type BatchItem, type BatchOptions } from '../batch.ts';
import type { Model } from '../model.ts';
import type { Version } from '../version.ts';
import { outOfScope, parseJson, pointersOutside, type AllowedPaths } from './changed-pointer.ts';

/** What a run says of all its documents, and where it may change them; absent: anywhere. */
export interface UnitOptions extends BatchOptions {
  readonly allowedPaths?: AllowedPaths;
}

/** Moves one document; one that would change where the run may not is quarantined. */
export function migrateWithin(
  model: Model,
  bytes: Uint8Array,
  to: Version,
  { allowedPaths: paths, ...options }: UnitOptions,
): BatchItem {
  const item = migrateItem(model, bytes, to, options);
  if (item.status !== 'migrated' || paths === undefined) return item;
  const [before, after] = [bytes, item.bytes].map((each) => parseJson(Buffer.from(each).toString('utf8')));
  const outside = pointersOutside(model, paths, before ?? null, after ?? null);
  return outside.length === 0 ? item : { status: 'quarantined', findings: [outOfScope(model, outside)] };
}
