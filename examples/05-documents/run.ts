// Documents that others wrote, moved by steps that are data, and held against what others make of them.
//
//   npm ci --prefix examples/05-documents/corpora
//   node --conditions=@varve/source examples/05-documents/run.ts [--story NAME] [--whole] [--folder DIR]
//
// `--story` is one of `bom` and `openapi` (default: both), `--whole` takes all 2,593 descriptions of interfaces (default:
// every twentieth), `--folder` is where files are written (default: `.varve` here; it is emptied first).
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { whyNoCorpora } from './installed.ts';
import { tellBom } from './tell-bom.ts';
import { tellOpenapi } from './tell-openapi.ts';

const text = { type: 'string' } as const;
const { values: given } = parseArgs({
  options: { story: text, folder: text, whole: { type: 'boolean', default: false } },
});
const folder = given.folder ?? join(import.meta.dirname, '.varve');
const startedMs = performance.now();
const stories: Readonly<Record<string, () => Promise<void>>> = {
  bom: () => tellBom(join(folder, 'bom')),
  openapi: () => tellOpenapi(given.whole ? 1 : 20),
};

const missing = whyNoCorpora();
if (missing !== undefined) throw new TypeError(missing);
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const name of given.story === undefined ? Object.keys(stories) : [given.story]) {
  const tell = stories[name];
  if (tell === undefined)
    throw new TypeError(`no story ${name}: there are ${Object.keys(stories).join(', ')}`);
  await tell();
}
console.log(`\nAll as told, in ${Math.round((performance.now() - startedMs) / 1000)} s.`);
