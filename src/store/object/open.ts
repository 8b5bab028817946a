import type { ObjectLocation, ObjectSettings, ObjectStore } from '../object-store.ts';
import { folderObjects } from './folder.ts';

/** Settings for the objects of one space: what `openObjects` takes, here, in a thread or in another process. */
export function objectSettings(location: ObjectLocation, space: string): ObjectSettings {
  return { module: import.meta.url, location, space };
}

/**
 * Opens a store of objects. Nothing is read or written before it is asked for.
 *
 * Errors: throws `objects_unavailable` where the S3 client is not installed or a named environment variable is not set.
 */
export async function openObjects(settings: ObjectSettings): Promise<ObjectStore> {
  const { location } = settings;
  if ('folder' in location) return folderObjects(location.folder, settings);
  // Loaded by those who have objects there: its client is a package of its own and takes 100 ms to start.
  return (await import('./s3.ts')).s3Objects(location.s3, settings);
}
