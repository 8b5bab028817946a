import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  collectGarbage,
  objectSpace,
  planGarbage,
  type CollectGarbageResult,
  type GarbageOptions,
  type GarbagePlan,
} from '../../src/pipeline/index.ts';
import {
  sql,
  type ObjectReference,
  type ObjectStore,
  type Store,
  type StoredObject,
} from '../../src/store/index.ts';
import { objectSettings, openObjects } from '../../src/store/object/index.ts';

/** A folder of objects that goes with its test. */
export interface ObjectLab extends AsyncDisposable {
  readonly folder: string;
  readonly objects: ObjectStore;
  /** Makes objects look as if they were put and pinned long ago; without any, all of them. */
  readonly age: (...references: readonly ObjectReference[]) => Promise<void>;
  readonly pathOf: (digest: string) => string;
}

/** The objects of a database that has varve's catalog, or of a space of its own. */
export async function objectLab(store?: Store): Promise<ObjectLab> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-object-lab-'));
  const space = store === undefined ? randomUUID() : await objectSpace(store);
  const pathOf = (digest: string): string => {
    const hex = digest.slice('sha256:'.length);
    return join(folder, space, 'sha256', hex.slice(0, 2), hex);
  };
  const objects = await openObjects(objectSettings({ folder }, space));
  return {
    folder,
    objects,
    pathOf,
    age: async (...references) => {
      const aged = references.length > 0 ? references : await allOf(objects);
      for (const { digest } of aged) {
        await utimes(pathOf(digest), THEN, THEN);
        await store?.execute(sql`update varve.object set pinned_at = '2020-01-01' where digest = ${digest}`);
      }
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const THEN = new Date('2020-01-01');

/** Every object of a store. */
export async function allOf(objects: ObjectStore): Promise<readonly StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const object of objects.list()) all.push(object);
  return all;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The plan, or a failed test. */
export async function planOf(
  store: Store,
  objects: ObjectStore,
  options?: GarbageOptions,
): Promise<GarbagePlan> {
  const plan = await planGarbage(store, objects, options);
  if (plan.status === 'refused') throw new Error(JSON.stringify(plan.findings));
  return plan;
}

/** Plans and collects at once. */
export async function collect(
  store: Store,
  objects: ObjectStore,
  options?: GarbageOptions,
): Promise<CollectGarbageResult> {
  return collectGarbage(store, objects, await planOf(store, objects, options), options);
}
