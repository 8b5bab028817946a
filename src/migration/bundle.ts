import type { JsonObject } from '../base/index.ts';
import type { ManifestEntry } from '../evidence/index.ts';
import type { Declaration } from './declaration.ts';
export type { Declaration };
/** An authored file of a bundle, as read. */
export interface AuthoredFile extends ManifestEntry {
  readonly bytes: Uint8Array;
}

/** A migration as it lies on disk, read once and held: what is judged is what is run. */
export interface Bundle {
  readonly id: string;
  /** Absolute path of the bundle's folder. */
  readonly folder: string;
  readonly declaration: Declaration;
  /** Parsed `forward.json` and `rollback.json`, by path, for kinds whose artifacts are JSON. */
  readonly documents: Readonly<Record<string, JsonObject>>;
  readonly files: readonly AuthoredFile[];
  /** SHA-256 of the manifest of the authored files (M115). */
  readonly digest: string;
}
