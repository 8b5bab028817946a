import type { CodeIdentity, Definitions } from '../pipeline/index.ts';
import type { RunEnvironment } from '../run/index.ts';
import type { Store } from '../store/index.ts';
import type { Project } from './config.ts';
import type { OpenObjects } from './open-objects.ts';

/** A project with its definitions, its database and the facts of this process: what most commands work in. */
export interface ProjectWorld {
  readonly project: Project;
  readonly definitions: Definitions;
  readonly store: Store;
  readonly environment: RunEnvironment;
  /** The project's object store, opened on the first call; undefined where the configuration names none. */
  readonly objects: OpenObjects;
  /** The present code of every computed table; read on the first call. */
  readonly codeByTable: () => Promise<ReadonlyMap<string, CodeIdentity>>;
}
