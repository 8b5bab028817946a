import type { Pipeline } from './pipeline.ts';

/** Where a store is: a folder of this project, or a server whose address an environment variable holds. */
export type StoreConfig = { readonly embedded: string } | { readonly postgres: { readonly urlFrom: string } };

/**
 * A project, as its `varve.config.ts` says it.
 *
 * Shape: `{ stores: { main: { embedded: '.varve/db' }, live: { postgres: { urlFrom: 'DATABASE_URL' } } }, defaultStore: 'main', pipelines: [audit] }`
 * Invariant: no secret stands in it; an address with a password is named by its environment variable.
 */
export interface ProjectConfig {
  readonly stores: Readonly<Record<string, StoreConfig>>;
  /** The store used when `--store` names none; may be left out where there is one. */
  readonly defaultStore?: string;
  readonly pipelines?: readonly Pipeline[];
  /** The folder below which makes read files through `ctx.files`, from the configuration's own. Default: that one. */
  readonly filesFolder?: string;
}

/** Gives the configuration its type; the value is returned unchanged. */
export function defineConfig<const C extends ProjectConfig>(config: C): C {
  return config;
}
