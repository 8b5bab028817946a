import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nearestName, refusal, type Finding, type Json } from '../base/index.ts';
import type { DocumentType } from '../document/index.ts';

/** Where document types are looked for, and which of them is meant. */
export interface TypeFlags {
  readonly types: string;
  readonly type?: string;
}

/** A document type of a project. */
export type AnyDocumentType = DocumentType<unknown>;

/** The document types that a module of a folder exports. */
export async function documentTypesIn(
  folder: string,
  types: string,
): Promise<readonly AnyDocumentType[] | { readonly findings: readonly Finding[] }> {
  const path = resolve(folder, types);
  if (!existsSync(path)) return { findings: [noTypes(types, 'there is no such file')] };
  const loaded = await importModule(path);
  if (typeof loaded === 'string') return { findings: [noTypes(types, loaded)] };
  const found = Object.values(loaded).filter(isDocumentType);
  if (found.length === 0) return { findings: [noTypes(types, 'it exports no document type')] };
  const findings = await lockedFindings(dirname(path), found);
  return findings.length > 0 ? { findings } : found;
}

/** Where the lock of a type stands, beside the module that exports it. */
export function lockPath(folder: string, name: string): string {
  return join(folder, 'documents', name, 'lock.json');
}

/** What has shipped of these types and is another one now. */
async function lockedFindings(
  folder: string,
  types: readonly AnyDocumentType[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const type of types) {
    const path = lockPath(folder, type.name);
    const model = existsSync(path) ? type.model() : undefined;
    if (model?.status !== 'ok') continue;
    const { lockFindings } = await import('../document/index.ts');
    findings.push(...lockFindings(model.value, parseLock(await readFile(path, 'utf8'))));
  }
  return findings;
}

function parseLock(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

async function importModule(path: string): Promise<Readonly<Record<string, unknown>> | string> {
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isDocumentType(value: unknown): value is AnyDocumentType {
  if (typeof value !== 'object' || value === null) return false;
  return ['model', 'findings', 'migrateText'].every((name) => typeof Reflect.get(value, name) === 'function');
}

function noTypes(types: string, reason: string): Finding {
  return refusal('document_types_missing', types, {
    detail: { reason },
    hint: 'Export what defineDocument returns from a module, and name it with --types FILE.',
  });
}

/** The type that a bundle names, from the project's own module. */
export async function documentTypeIn(
  folder: string,
  flags: TypeFlags,
): Promise<AnyDocumentType | { readonly findings: readonly Finding[] }> {
  const types = await documentTypesIn(folder, flags.types);
  return 'findings' in types ? types : namedType(types, flags);
}

/** The only one, or the one of that name. */
export function namedType(
  types: readonly AnyDocumentType[],
  flags: TypeFlags,
): AnyDocumentType | { readonly findings: readonly Finding[] } {
  const named = flags.type === undefined ? types : types.filter(({ name }) => name === flags.type);
  const [only] = named;
  if (only !== undefined && named.length === 1) return only;
  const names = types.map(({ name }) => name);
  const nearest = nearestName(flags.type ?? '', names);
  const finding = refusal('document_types_missing', flags.type ?? flags.types, {
    detail: { names, ...(nearest === undefined ? {} : { nearest }) },
    hint: 'Say with --type NAME which document type is meant.',
  });
  return { findings: [finding] };
}
