import type { Store } from '../src/store/index.ts';
import type { Figure } from './figure.ts';

/** What an area is measured on; both are fresh, and an area cleans up behind itself. */
export interface BenchStores {
  readonly server: Store;
  /** The server's address with its password, for areas that start processes. */
  readonly serverUrl: string;
  readonly embedded: Store;
  /** Says on stderr how far it is. */
  readonly progress: (message: string) => void;
}

/** What an area measured; or why it could not, which is no failure. */
export type AreaResult =
  | {
      readonly status: 'measured';
      readonly figures: readonly Figure[];
      /** Releases of what this area alone measures. */
      readonly versions?: Readonly<Record<string, string>>;
    }
  | { readonly status: 'not_run'; readonly reason: string };
