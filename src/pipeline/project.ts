import type { MigrationsConfig } from './migrations-config.ts';
import type { Pipeline } from './pipeline.ts';

/**
 * Where a store is: a folder of this project, or a server whose address an environment variable holds.
 *
 * Shape: `{ postgres: { urlFrom: 'DATABASE_URL', runnerUrlFrom: 'RUNNER_URL', verifyUrlFrom: 'VERIFY_URL' } }`
 */
export type StoreConfig =
  | {
      readonly embedded: string;
      /**
       * Extensions that the embedded database is opened with, such as `postgis` or `pg_trgm`; a package that brings one has to
       * be installed. `create extension` is left to a migration or to whoever makes the database.
       */
      readonly extensions?: readonly string[];
    }
  | {
      readonly postgres: {
        readonly urlFrom: string;
        /** Of the address with which `varve_runner` logs in: scripts of migrations then run confined. */
        readonly runnerUrlFrom?: string;
        /** Of the address with which `varve_verify` logs in: it reads the server's log before a migration commits. */
        readonly verifyUrlFrom?: string;
      };
    };

/**
 * Where objects are: in a folder, relative to the configuration's own, or in a bucket of a server that speaks S3.
 *
 * Shape: `{ folder: '.varve/objects' }`, `{ s3: { bucket: 'lab', endpoint: 'https://s3.example.org', credentialsFrom: ['S3_KEY_ID', 'S3_SECRET'] } }`
 * Invariant: no secret stands in it; credentials are named by their environment variables.
 */
export type ObjectsConfig =
  | { readonly folder: string }
  | {
      readonly s3: {
        readonly bucket: string;
        /** Default `us-east-1`, which servers without regions take. */
        readonly region?: string;
        /** The server's address; default: Amazon's own. */
        readonly endpoint?: string;
        /** Before every key. */
        readonly prefix?: string;
        /** Access key id, secret key, session token if there is one; default: what the platform provides. */
        readonly credentialsFrom?: readonly string[];
      };
    };

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
  /** Where large values are: `ctx.files.put` and columns of type `t.object()` need it. */
  readonly objects?: ObjectsConfig;
  /** What holds for every migration of the project. */
  readonly migrations?: MigrationsConfig;
}

/** Gives the configuration its type; the value is returned unchanged. */
export function defineConfig<const C extends ProjectConfig>(config: C): C {
  return config;
}
