import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The files and folders that a process has to read to load a module: the module and the files that it imports, one by
 * one; the packages; varve itself. No folder of a project is among them, so neither are its secrets and its database.
 */
export async function readGrant(module: string): Promise<readonly string[]> {
  const filePath = await realpath(fileURLToPath(module));
  const files = await importedFiles(filePath);
  const above = [...new Set([...files, join(VARVE, 'package.json')].flatMap((path) => foldersAbove(path)))];
  const packageFiles = above.map((folder) => join(folder, 'package.json'));
  const packages = await Promise.all(above.map((folder) => packageFolders(join(folder, 'node_modules'))));
  const own = ['bin', 'src', 'dist'].map((name) => join(VARVE, name));
  const wanted = [...files, ...(await existing([...packageFiles, ...own])), ...packages.flat()];
  return [...new Set([...wanted, ...(await Promise.all(wanted.map((path) => realpath(path))))])];
}

const VARVE = resolve(import.meta.dirname, '../../..');

/** The files that a module leads to by imports that stand in the source; packages are not followed. */
async function importedFiles(filePath: string): Promise<readonly string[]> {
  const { build } = await import('esbuild');
  const folder = dirname(filePath);
  const { metafile } = await build({
    entryPoints: [filePath],
    absWorkingDir: folder,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    tsconfigRaw: '{}',
    loader: { '.node': 'empty', '.wasm': 'empty' },
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  // What stands in the source itself, as a `data:` module does, is named there too.
  const files = await existing(Object.keys(metafile.inputs).map((path) => resolve(folder, path)));
  return Promise.all(files.map((path) => realpath(path)));
}

function foldersAbove(path: string): readonly string[] {
  const folder = dirname(path);
  return folder === path ? [] : [folder, ...foldersAbove(folder)];
}

/** A folder of packages, and where those lie that are linked into it. */
async function packageFolders(folder: string): Promise<readonly string[]> {
  if ((await existing([folder])).length === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  const scopes = entries.filter(({ name }) => name.startsWith('@')).map(({ name }) => join(folder, name));
  const scoped = await Promise.all(scopes.map((scope) => readdir(scope, { withFileTypes: true })));
  const linked = [...entries, ...scoped.flat()].filter((entry) => entry.isSymbolicLink());
  const targets = linked.map(({ parentPath, name }) => join(parentPath, name));
  return [folder, ...(await existing(targets))];
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return found.flat();
}
