import { resolve } from 'node:path';
import type { ObjectsConfig } from '../pipeline/index.ts';
import type { ObjectLocation, ObjectStore, Store } from '../store/index.ts';
import type { Project } from './config.ts';

/** The object store that a configuration names, in the space of this database; undefined where it names none. */
export async function openProjectObjects(
  { dir, config }: Project,
  store: Store,
): Promise<ObjectStore | undefined> {
  if (config.objects === undefined) return undefined;
  const { objectSpace } = await import('../pipeline/index.ts');
  const { objectSettings, openObjects } = await import('../store/object/index.ts');
  return openObjects(objectSettings(locationOf(config.objects, dir), await objectSpace(store)));
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
