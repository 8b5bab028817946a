import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nearestName, refusal, type Finding } from '../base/index.ts';
import type { DocumentType, Model } from '../document/index.ts';
import type { Context } from './context.ts';

/** Where document types are looked for, and which of them is meant. */
export interface TypeFlags {
  readonly types: string;
  readonly type?: string;
}

/** A document type of a project. */
export type AnyDocumentType = DocumentType<unknown>;

/** The document types that a module exports. */
export async function loadDocumentTypes(
  context: Context,
  { types }: Pick<TypeFlags, 'types'>,
): Promise<readonly AnyDocumentType[] | { readonly findings: readonly Finding[] }> {
  const path = typesPath(context, types);
  if (!existsSync(path)) return { findings: [noTypes(types, 'there is no such file')] };
  const loaded = await importModule(path);
  if (typeof loaded === 'string') return { findings: [noTypes(types, loaded)] };
  const found = Object.values(loaded).filter(isDocumentType);
  return found.length > 0 ? found : { findings: [noTypes(types, 'it exports no document type')] };
}

function typesPath(context: Context, types: string): string {
  return resolve(context.io.workingDir, context.options.project ?? '.', types);
}

/** The URL of the module that exports them, for threads that load it for themselves. */
export function typesUrl(context: Context, { types }: Pick<TypeFlags, 'types'>): string {
  return pathToFileURL(typesPath(context, types)).href;
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

/** The type that is meant: the only one, or the named one. */
export async function loadDocumentType(
  context: Context,
  flags: TypeFlags,
): Promise<AnyDocumentType | { readonly findings: readonly Finding[] }> {
  const types = await loadDocumentTypes(context, flags);
  if ('findings' in types) return types;
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

/** The sealed type, or why it does not hold together. */
export async function loadModel(
  context: Context,
  flags: TypeFlags,
): Promise<Model | { readonly findings: readonly Finding[] }> {
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return type;
  const model = type.model();
  return model.status === 'ok' ? model.value : { findings: model.findings };
}
