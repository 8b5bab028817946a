import type { Store } from '../src/store/index.ts';

/** What an area is measured on; both are fresh, and an area cleans up behind itself. */
export interface BenchStores {
  readonly server: Store;
  readonly embedded: Store;
  /** Says on stderr how far it is. */
  readonly progress: (message: string) => void;
}
