import { refusal, type Finding, type Json, type JsonObject } from '../../base/index.ts';
import { parseRegisterText, type KeyRegister } from '../approval.ts';
import { canonicalBytes, sha256, type Digest } from '../digest.ts';
import type { CheckSignature } from '../dsse.ts';
import { storePath } from '../store-path.ts';
import type { SchemaName } from '../schema.ts';
import { validateSchema } from '../validate.ts';

/** The files under `migrations/`, however they come. */
export interface FileReader {
  /** The bytes of a file under `migrations/`, undefined when it is not there. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /** All regular files below a folder, relative to `migrations/`, with `/`. */
  readonly list: (folder: string) => Promise<readonly string[]>;
}

/** Whether version control has a bundle on its main branch. */
export type MergeState = 'merged' | 'not_merged' | 'unknown';

/** What every part of verification works with. */
export interface Evidence {
  readonly reader: FileReader;
  readonly files: readonly string[];
  /** The public keys whose signatures count. */
  readonly register: KeyRegister;
  readonly check: CheckSignature;
  /** What version control says of a bundle. */
  readonly mergeOf: (migrationId: string) => Promise<MergeState>;
}

/** One receipt that was looked at; `status` is that of the verification, not of the run. */
export interface VerifiedReceipt {
  readonly path: string;
  readonly runId: string;
  readonly migrationId: string;
  readonly digest: Digest;
  readonly outcome: string;
  readonly status: 'verified' | 'refuted';
}

/** The content of a digest, from the store. */
export async function readStored({ reader }: Evidence, digest: Digest): Promise<Uint8Array | undefined> {
  return reader.read(storePath(digest));
}

/** A file as text; empty where it is not there. */
export async function readText(reader: FileReader, path: string): Promise<string> {
  return new TextDecoder().decode((await reader.read(path)) ?? new Uint8Array());
}

/** The register of keys; empty where it is not there or no register. */
export async function readRegister(reader: FileReader): Promise<KeyRegister> {
  return parseRegisterText(await readText(reader, 'registry/keys.v1.json'));
}

/** An artifact's object; undefined when its bytes are not the canonical ones of a JSON object (M113). */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    ) as Json;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return sha256(canonicalBytes(value)) === sha256(bytes) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** What a value lacks under a schema. */
export async function schemaFindings(
  name: SchemaName,
  value: Json,
  subject: string,
): Promise<readonly Finding[]> {
  const faults = await validateSchema(name, value);
  return faults.map(({ pointer, rule }) =>
    refusal('receipt_invalid', subject, {
      detail: { reason: 'schema', schema: name, pointer, rule },
      hint: 'Take this file back from version control or the evidence store.',
    }),
  );
}

/** A file is not what was written. */
export function changed(path: string, reason: string): Finding {
  const hint =
    'This file is not what the run wrote: take it back from the evidence store or version control.';
  return refusal('evidence_changed', path, { detail: { reason }, hint });
}

/** A file that something else needs is not there. */
export function missing(path: string, neededBy: Json): Finding {
  return refusal('evidence_missing', path, {
    detail: { neededBy },
    hint: 'Take this file back from version control or a backup.',
  });
}

/** A receipt, or what belongs to it, does not hold. */
export function invalid(path: string, reason: string): Finding {
  const hint =
    'This receipt does not hold: take it back from the evidence store, and look for who changed it.';
  return refusal('receipt_invalid', path, { detail: { reason }, hint });
}
