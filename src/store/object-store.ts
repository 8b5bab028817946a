/**
 * Large values by content: a row holds a reference, an object store holds the bytes.
 *
 * | word | meaning |
 * |---|---|
 * | object | bytes that never change, named by the SHA-256 of themselves |
 * | reference | `{ digest, sizeBytes }`, the value that stands in a row |
 * | space | the objects of one database; several databases share a folder or bucket without seeing each other's |
 *
 * An object is written before the row that names it, so a crash leaves an object that no row names, never a row that names
 * no object. Because a name is the digest of its content, writing the same bytes again is harmless, nothing is ever
 * overwritten by something else, and what comes back can always be told from what was meant.
 */
import { VarveError, type JsonObject } from '../base/index.ts';

/**
 * What stands in a row for an object.
 *
 * Shape: `{ digest: 'sha256:9f86d0...', sizeBytes: 4 }`
 */
export interface ObjectReference {
  /** `sha256:` and 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly sizeBytes: number;
}

/** Bytes to store: at once, or piece by piece, so that they are never in memory as a whole. */
export type ObjectContent = Uint8Array | AsyncIterable<Uint8Array>;

/** One object as its store lists it. */
export interface StoredObject extends ObjectReference {
  /** When it was last put, by the store's clock: ISO 8601 UTC. */
  readonly putAt: string;
}

/** How another thread or process opens the same store: plain data, with the names of environment variables for secrets. */
export interface ObjectSettings extends JsonObject {
  /** The module that exports `openObjects`, as a file URL. */
  readonly module: string;
  readonly location: ObjectLocation;
  readonly space: string;
}

/** Where objects are: a folder, or a bucket of a server that speaks S3. */
export type ObjectLocation = { readonly folder: string } | { readonly s3: S3Location };

/** A bucket. No secret stands here: credentials are named by their environment variables. */
export interface S3Location extends JsonObject {
  readonly bucket: string;
  readonly region: string;
  /** The server's address; null for Amazon's own. */
  readonly endpoint: string | null;
  /** Before every key of this project, without a slash at its end; empty for none. */
  readonly prefix: string;
  /** Access key id, secret key and, where there is one, session token; null for what the platform itself provides. */
  readonly credentialsFrom: readonly string[] | null;
}

/**
 * A store of objects, of one space.
 *
 * Errors: every member throws `objects_unreachable`, `objects_denied` or `objects_full` where the place itself fails.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Where it is, without credentials: for messages. */
  readonly location: string;
  readonly settings: ObjectSettings;
  /** Stores content and says what it is called. Content that is there already is put again: that makes it young, and whole. */
  readonly put: (content: ObjectContent) => Promise<ObjectReference>;
  /**
   * The content, piece by piece.
   *
   * Errors: throws `object_missing`, and `object_damaged` where the content is not what the reference says; that shows
   * after the last piece, so whoever acts on pieces must be ready to take it back.
   */
  readonly read: (reference: ObjectReference) => AsyncIterable<Uint8Array>;
  /** What is there under a digest; undefined where nothing is. */
  readonly find: (digest: string) => Promise<StoredObject | undefined>;
  /** Every object of the space, in no order. */
  readonly list: () => AsyncIterable<StoredObject>;
  /** Removes one object; nothing happens where there is none. */
  readonly remove: (digest: string) => Promise<void>;
  /** Removes what interrupted puts left behind before an instant; returns how many. */
  readonly sweep: (before: string) => Promise<number>;
}

const DIGEST = /^sha256:[0-9a-f]{64}$/u;

/** Whether a text can be the digest of an object: nothing else ever becomes part of a path or key. */
export function isObjectDigest(text: unknown): text is string {
  return typeof text === 'string' && DIGEST.test(text);
}

/** Whether a value is a reference and nothing more. */
export function isObjectReference(value: unknown): value is ObjectReference {
  if (typeof value !== 'object' || value === null) return false;
  const { digest, sizeBytes, ...more } = value as Readonly<Record<string, unknown>>;
  return (
    isObjectDigest(digest) &&
    Number.isSafeInteger(sizeBytes) &&
    (sizeBytes as number) >= 0 &&
    Object.keys(more).length === 0
  );
}

/** The 64 digits of a digest. Errors: throws `object_missing` for any other text, before it gets near a path. */
export function objectHex(digest: string): string {
  if (isObjectDigest(digest)) return digest.slice('sha256:'.length);
  throw new VarveError('object_missing', {
    detail: { reason: 'this is no digest of an object' },
    hint: 'Use the reference that stands in the row, or that `put` returned.',
  });
}

/** All of an object. Errors: those of `read`. */
export async function readObject(
  objects: Pick<ObjectStore, 'read'>,
  reference: ObjectReference,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of objects.read(reference)) {
    pieces.push(piece);
    sizeBytes += piece.length;
  }
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const content = new Uint8Array(sizeBytes);
  let at = 0;
  for (const piece of pieces) {
    content.set(piece, at);
    at += piece.length;
  }
  return content;
}
