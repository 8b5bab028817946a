// Two stories of structures that turn out to be wrong, and of data that survives the correction.
//
//   node --conditions=@varve/source examples/03-restructure/run.ts [--story NAME] [--folder DIR] [--store NAME]
//
// `--story` is one of `audit` and `lab` (default: both), `--folder` where their projects are made (default: `.varve` here;
// it is emptied first), `--store` a store of their configuration (default: the embedded one; `server` is the one at
// DATABASE_URL, which has to be empty).
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tellAudit } from './tell-audit.ts';
import { tellLab } from './tell-lab.ts';
import type { Setting } from './setting.ts';

const STORIES: Readonly<Record<string, (setting: Setting) => Promise<void>>> = {
  audit: tellAudit,
  lab: tellLab,
};

const text = { type: 'string' } as const;
const { values: given } = parseArgs({ options: { story: text, folder: text, store: text } });
const folder = given.folder ?? join(import.meta.dirname, '.varve');
const names = given.story === undefined ? Object.keys(STORIES) : [given.story];
const startedMs = performance.now();

await rm(folder, { recursive: true, force: true });
for (const name of names) {
  const project = join(folder, name);
  await mkdir(project, { recursive: true });
  const tell = STORIES[name];
  if (tell === undefined)
    throw new TypeError(`no story ${name}: there are ${Object.keys(STORIES).join(', ')}`);
  await tell({ project, store: given.store });
}
console.log(`\nAll as told, in ${Math.round((performance.now() - startedMs) / 1000)} s.`);
