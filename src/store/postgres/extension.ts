import type { Extension } from '@electric-sql/pglite';
import { VarveError } from '../../base/index.ts';

/** Extensions that come in a package of their own; all others are looked for among PGlite's own. */
const PACKAGES: Readonly<Record<string, { readonly specifier: string; readonly member: string }>> = {
  age: { specifier: '@electric-sql/pglite-age', member: 'age' },
  postgis: { specifier: '@electric-sql/pglite-postgis', member: 'postgis' },
  vector: { specifier: '@electric-sql/pglite-pgvector', member: 'vector' },
};

/** The loaded extensions by name. Errors: throws `config_invalid` for one that is not installed. */
export async function loadExtensions(names: readonly string[]): Promise<Record<string, Extension>> {
  const loaded = await Promise.all(names.map(async (name) => [name, await loadExtension(name)] as const));
  return Object.fromEntries(loaded);
}

async function loadExtension(name: string): Promise<Extension> {
  const member = name.replaceAll('-', '_');
  const source = PACKAGES[name] ?? { specifier: `@electric-sql/pglite/contrib/${member}`, member };
  const loaded = await importOptional(source.specifier);
  const extension = loaded?.[source.member];
  if (isExtension(extension)) return extension;
  throw new VarveError('config_invalid', {
    detail: { extension: name, package: source.specifier },
    hint: `Correct the extension's name, or install the package that brings it: npm install ${source.specifier}.`,
  });
}

async function importOptional(specifier: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    return (await import(specifier)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined;
    throw error;
  }
}

function isExtension(value: unknown): value is Extension {
  return typeof value === 'object' && value !== null && 'name' in value && 'setup' in value;
}
