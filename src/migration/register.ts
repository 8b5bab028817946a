/** Entering bundles in the registry, and that they were merged where no version control can say so. */
import type { Clock } from '../base/index.ts';
import { listBundles, readBundle } from './bundle.ts';
import { appendStep, readRegistry, registerBundle, type RegistryReading } from './registry.ts';

interface About {
  readonly by: string;
  readonly clock: Clock;
}

/** Enters every bundle that can be read and has no entry, as a draft. Errors: as `registerBundle`. */
export async function registerAll(
  root: string,
  about: About & { readonly owners: readonly string[] },
): Promise<RegistryReading> {
  let reading = await readRegistry(root);
  for (const id of await listBundles(root)) {
    if (reading.status === 'refused') return reading;
    const bundle = await readBundle(root, id);
    const isEntered = reading.registry.migrations.some((entry) => entry.id === id);
    if (!isEntered && bundle.status === 'ok') reading = await registerBundle(root, bundle.bundle, about);
  }
  return reading;
}

/** Enters that bundles are merged as they are; those that are already stay as they were (M51). Errors: as `appendStep`. */
export async function freezeBundles(
  root: string,
  ids: readonly string[],
  about: About,
): Promise<RegistryReading> {
  let reading = await readRegistry(root);
  for (const id of ids) {
    if (reading.status === 'refused') return reading;
    const bundle = await readBundle(root, id);
    const entry = reading.registry.migrations.find((each) => each.id === id);
    const isFrozen = entry?.history.some(({ status }) => status === 'merged') ?? false;
    if (!isFrozen && bundle.status === 'ok')
      reading = await appendStep(root, bundle.bundle, { status: 'merged', ...about });
  }
  return reading;
}
