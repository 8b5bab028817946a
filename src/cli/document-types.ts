import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Finding } from '../base/index.ts';
import type { Model } from '../document/index.ts';
import type { Context } from './context.ts';
import { documentTypesIn, namedType, type AnyDocumentType, type TypeFlags } from './document-type-file.ts';

/** The document types that a module exports. */
export async function loadDocumentTypes(
  context: Context,
  { types }: Pick<TypeFlags, 'types'>,
): Promise<readonly AnyDocumentType[] | { readonly findings: readonly Finding[] }> {
  return documentTypesIn(projectFolder(context), types);
}

function projectFolder({ io, options }: Context): string {
  return resolve(io.workingDir, options.project ?? '.');
}

/** The URL of the module that exports them, for threads that load it for themselves. */
export function typesUrl(context: Context, { types }: Pick<TypeFlags, 'types'>): string {
  return pathToFileURL(resolve(projectFolder(context), types)).href;
}

/** The type that is meant: the only one, or the named one. */
export async function loadDocumentType(
  context: Context,
  flags: TypeFlags,
): Promise<AnyDocumentType | { readonly findings: readonly Finding[] }> {
  const types = await loadDocumentTypes(context, flags);
  return 'findings' in types ? types : namedType(types, flags);
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
