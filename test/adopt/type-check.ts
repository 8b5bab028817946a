import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** What the compiler says of the TypeScript files of a folder inside this package, under this package's own rules; empty: nothing. */
export async function typeCheck(folder: string): Promise<string> {
  const config = {
    extends: path.resolve('tsconfig.json'),
    compilerOptions: {
      noEmit: true,
      isolatedDeclarations: false,
      declaration: false,
      // The folder may have a package of its own, which has not installed varve.
      paths: { 'varve/pipeline': [path.resolve('src/pipeline/index.ts')] },
    },
    include: ['**/*.ts'],
    exclude: [],
  };
  const file = path.join(folder, 'tsconfig.json');
  await writeFile(file, JSON.stringify(config));
  const tsc = path.resolve('node_modules/typescript/bin/tsc');
  try {
    return (await promisify(execFile)(process.execPath, [tsc, '-p', file])).stdout;
  } catch (error) {
    return String((error as { readonly stdout?: unknown }).stdout ?? error);
  }
}
