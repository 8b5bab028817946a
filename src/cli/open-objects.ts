import { resolve } from 'node:path';
import type { ObjectsConfig } from '../pipeline/index.ts';
import type { ObjectLocation, ObjectStore, Store } from '../store/index.ts';
import type { Project } from './config.ts';

/** Opens the object store of a project on the first call; gives undefined where the configuration names none. */
export type OpenObjects = () => Promise<ObjectStore | undefined>;

/**
 * The way to the objects that a configuration names, in the space of this database. The space is read here and now: later
 * the one session of an embedded store may be inside a transaction.
 */
export async function projectObjects({ dir, config }: Project, store: Store): Promise<OpenObjects> {
  const { objects } = config;
  if (objects === undefined) return () => Promise.resolve(undefined);
  const { objectSpace } = await import('../pipeline/index.ts');
  const space = await objectSpace(store);
  let opened: Promise<ObjectStore> | undefined;
  return () => (opened ??= open(locationOf(objects, dir), space));
}

async function open(location: ObjectLocation, space: string): Promise<ObjectStore> {
  const { objectSettings, openObjects } = await import('../store/object/index.ts');
  return openObjects(objectSettings(location, space));
}

function locationOf(objects: ObjectsConfig, dir: string): ObjectLocation {
  if ('folder' in objects) return { folder: resolve(dir, objects.folder) };
  const { bucket, region, endpoint, prefix, credentialsFrom } = objects.s3;
  return {
    s3: {
      bucket,
      region: region ?? 'us-east-1',
      endpoint: endpoint ?? null,
      prefix: prefix ?? '',
      credentialsFrom: credentialsFrom ?? null,
    },
  };
}
