import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nearestName, refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import {
  isProduct,
  manifestDigest,
  manifestEntry,
  type Digest,
  type ManifestEntry,
} from '../evidence/index.ts';
import type { Declaration } from './declaration.ts';
import { readDeclaration } from './read-declaration.ts';
import { hasCode, isTemporary, makeFolder, writeDurable } from './durable.ts';
import { KIND_PREFIXES, nextMigrationId, parseMigrationId, type KindName } from './migration-id.ts';
import { readRegistry } from './registry.ts';
import { parseStrictJson } from './strict-json.ts';

/** An authored file of a bundle, as read. */
export interface AuthoredFile extends ManifestEntry {
  readonly bytes: Uint8Array;
}

/** A migration as it lies on disk, read once and held: what is judged is what is run. */
export interface Bundle {
  readonly id: string;
  readonly kind: KindName;
  /** Absolute path of the bundle's folder. */
  readonly folder: string;
  readonly declaration: Declaration;
  /** The parsed artifacts that end in `.json`, by path, such as `forward.json`. */
  readonly documents: Readonly<Record<string, JsonObject>>;
  readonly files: readonly AuthoredFile[];
  /** SHA-256 of the manifest of the authored files (M115). */
  readonly digest: Digest;
}

/** A bundle, or why it cannot be used. */
export type BundleReading =
  | { readonly status: 'ok'; readonly bundle: Bundle }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** What a bundle is written from. */
export interface BundleDraft {
  readonly declaration: Declaration;
  /** The other authored files by path; `.json` ones are written as canonical bytes by the caller. */
  readonly files: Readonly<Record<string, string>>;
}

/** No file of a bundle is larger (M4). */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/**
 * Reads and checks one bundle: names, declaration, every file that it names there and inside the folder (M1 to M5, M9 to M11).
 *
 * `root` is the absolute path of the folder `migrations`.
 */
export async function readBundle(root: string, id: string): Promise<BundleReading> {
  const parts = parseMigrationId(id);
  if (parts === undefined) return refused([wrongId(id)]);
  const folder = join(root, parts.kind, id);
  const listed = await listBundle(folder, '');
  if (listed === undefined) return refused([await missingBundle(root, id)]);
  if (listed.findings.length > 0) return refused(listed.findings);
  const text = await readAuthored(folder, 'migration.yml', listed.paths);
  if ('code' in text) return refused([text]);
  const reading = await readDeclaration(new TextDecoder().decode(text.bytes), { id, kind: parts.kind });
  if (reading.status === 'refused') return reading;
  return readFiles({ id, kind: parts.kind, folder }, reading.declaration, listed.paths);
}

/** The ids of all bundles under `root`, in the order in which they run. */
export async function listBundles(root: string): Promise<readonly string[]> {
  const kinds = Object.keys(KIND_PREFIXES) as KindName[];
  const names = await Promise.all(kinds.map((kind) => folderNames(join(root, kind))));
  return names.flat().filter((name) => parseMigrationId(name) !== undefined);
}

/**
 * The next free id of a kind for the day of `nowMs`. An id is used once for ever (M3), so those of the registry are taken,
 * and those that are known from elsewhere (the ledger) are passed in `taken`. Undefined when the day's 99 are used up.
 */
export async function freeMigrationId(
  root: string,
  kind: KindName,
  options: { readonly nowMs: number; readonly taken?: readonly string[] },
): Promise<string | undefined> {
  const day = new Date(options.nowMs).toISOString().slice(0, 10);
  const registry = await readRegistry(root);
  const entered = registry.status === 'ok' ? registry.registry.migrations.map(({ id }) => id) : [];
  const bundles = await listBundles(root);
  return nextMigrationId(kind, day, [...bundles, ...entered, ...(options.taken ?? [])]);
}

/** Writes a new bundle. Refuses when its folder is there already: nothing authored is ever overwritten. */
export async function writeBundle(root: string, draft: BundleDraft): Promise<BundleReading> {
  const { migration_id: id, type } = draft.declaration;
  const folder = join(root, type, id);
  if ((await folderNames(folder)).length > 0) {
    const hint = 'Take the next free id: authored files are never overwritten.';
    return refused([refusal('bundle_invalid', id, { detail: { reason: 'exists' }, hint })]);
  }
  const { stringify } = await import('yaml');
  await makeFolder(folder);
  for (const [path, text] of Object.entries(draft.files)) {
    await writeDurable(join(folder, path), new TextEncoder().encode(text));
  }
  // Last, for a folder without it is no bundle: a kill in between leaves nothing that could be run.
  const yaml = stringify(draft.declaration, { version: '1.2', schema: 'core', aliasDuplicateObjects: false });
  await writeDurable(join(folder, 'migration.yml'), new TextEncoder().encode(yaml));
  return readBundle(root, id);
}

interface BundlePlace {
  readonly id: string;
  readonly kind: KindName;
  readonly folder: string;
}

async function readFiles(
  place: BundlePlace,
  declaration: Declaration,
  present: readonly string[],
): Promise<BundleReading> {
  const { forward, rollback, attachments = [] } = declaration.artifacts;
  const paths = ['migration.yml', 'notes.md', ...forward, ...rollback, ...attachments];
  const findings: Finding[] = paths.flatMap((path) => pathFindings(path));
  findings.push(...strangers(present, paths));
  if (findings.length > 0) return refused(findings);
  const files: AuthoredFile[] = [];
  const documents: Record<string, JsonObject> = {};
  for (const path of [...new Set(paths)].sort()) {
    const file = await readAuthored(place.folder, path, present);
    if ('code' in file) findings.push(file);
    else files.push(file);
    if ('code' in file || !path.endsWith('.json')) continue;
    const document = parseDocument(file);
    if ('code' in document) findings.push(document);
    else documents[path] = document.value;
  }
  if (findings.length > 0) return refused(findings);
  return { status: 'ok', bundle: { ...place, declaration, documents, files, digest: manifestDigest(files) } };
}

function parseDocument(file: AuthoredFile): { readonly value: JsonObject } | Finding {
  const parsed = parseStrictJson(new TextDecoder().decode(file.bytes));
  if ('reason' in parsed) return invalid(file.path, parsed.reason);
  return isObject(parsed.value) ? { value: parsed.value } : invalid(file.path, 'no_object');
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A path stays inside the bundle by its text alone; that no part of it is a link is seen when the folder is listed. */
function pathFindings(path: string): readonly Finding[] {
  const parts = path.split('/');
  const escapes = parts.some((part) => part === '' || part === '.' || part === '..');
  if (escapes || /[\\:\0]/u.test(path)) return [invalid(path, 'path_leaves_bundle')];
  return isProduct(path) ? [invalid(path, 'path_of_product')] : [];
}

function strangers(present: readonly string[], authored: readonly string[]): readonly Finding[] {
  return present
    .filter((path) => !authored.includes(path) && !isProduct(path))
    .map((path) => invalid(path, 'unknown_file'));
}

async function readAuthored(
  folder: string,
  path: string,
  present: readonly string[],
): Promise<AuthoredFile | Finding> {
  if (!present.includes(path)) return invalid(path, 'missing');
  const { size } = await lstat(join(folder, path));
  if (size > MAX_FILE_BYTES) return invalid(path, 'too_large');
  const bytes = await readFile(join(folder, path));
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return invalid(path, 'byte_order_mark');
  if (!isUtf8(bytes)) return invalid(path, 'not_utf8');
  return { ...manifestEntry(path, bytes), bytes };
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** All files of a bundle; undefined when there is no such folder. Links and devices are findings, and never followed. */
async function listBundle(
  folder: string,
  below: string,
): Promise<{ readonly paths: readonly string[]; readonly findings: readonly Finding[] } | undefined> {
  const paths: string[] = [];
  const findings: Finding[] = [];
  const here = await statOf(join(folder, below));
  if (here === undefined || !here.isDirectory()) return undefined;
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) {
      const nested = await listBundle(folder, path);
      paths.push(...(nested?.paths ?? []));
      findings.push(...(nested?.findings ?? []));
    } else if (!entry.isFile()) findings.push(invalid(path, 'no_regular_file'));
    else if (!isTemporary(entry.name)) paths.push(path);
  }
  return { paths, findings };
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function folderNames(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

function refused(findings: readonly Finding[]): BundleReading {
  return { status: 'refused', findings };
}

function wrongId(id: string): Finding {
  const hint =
    'Write PIPE-MIG-YYYY-MM-DD-NN (or PG, SEARCH, GRAPH, DOC, REPLICA, OTHER) with a real day and 01 to 99.';
  return refusal('bundle_invalid', id, { detail: { reason: 'id' }, hint });
}

async function missingBundle(root: string, id: string): Promise<Finding> {
  const nearest = nearestName(id, await listBundles(root));
  const hint =
    nearest === undefined
      ? 'Where it was planned or applied before, bring its folder back from version control; `varve plan` writes a new one.'
      : `Ask for ${nearest}.`;
  return refusal('bundle_missing', id, { detail: nearest === undefined ? {} : { nearest }, hint });
}

const HINTS: Readonly<Record<string, string>> = {
  path_leaves_bundle: 'Write a relative path with `/`, without `.` and `..`, to a file inside the bundle.',
  path_of_product: 'Name the authored file differently: varve writes this one.',
  unknown_file: 'Name this file under artifacts, or take it out of the bundle.',
  missing: 'Write this file, or take it out of the declaration.',
  no_regular_file: 'Put the file itself into the bundle, not a link to it.',
  too_large: 'Keep authored files under 16 MiB.',
};

function invalid(path: string, reason: string): Finding {
  const hint =
    HINTS[reason] ?? 'Save this file as UTF-8 without byte order mark, JSON with each member once.';
  return refusal('bundle_invalid', path, { detail: { reason }, hint });
}
