import { readFileSync } from 'node:fs';

/** The release of varve that runs, read from the package's own description: one level above `src` and above `dist` alike. */
export function release(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
}
