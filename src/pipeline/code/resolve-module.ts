import { existsSync, realpathSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TypeScript } from './typescript.ts';

/** What an import names: a file of the project, a package, a part of Node, or nothing that can be found. */
export type Target =
  | { readonly kind: 'local'; readonly file: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'builtin'; readonly name: string }
  | { readonly kind: 'missing'; readonly specifier: string };

/** A target, and the files whose absence led to it: were one of them written, the import would mean another. */
export interface Resolution {
  readonly target: Target;
  readonly consulted: readonly string[];
}

const SOURCE = ['.ts', '.mts', '.cts', '.tsx', '.js', '.mjs', '.cjs', '.jsx', '.json'];
/** What a loader other than Node's own may put for an extension. */
const TYPED: Readonly<Record<string, string>> = {
  '.js': '.ts',
  '.mjs': '.mts',
  '.cjs': '.cts',
  '.jsx': '.tsx',
};

/** Finds what a specifier means in a file, as Node does; where Node finds no file, as bundlers do. */
export function resolveModule(ts: TypeScript, specifier: string, fromFile: string): Resolution {
  if (isBuiltin(specifier))
    return found({ kind: 'builtin', name: `node:${specifier.replace(/^node:/, '')}` });
  if (/^\.{0,2}\//.test(specifier) || /^\.{1,2}$/.test(specifier)) {
    return resolveFile(path.resolve(path.dirname(fromFile), withoutQuery(specifier)), specifier);
  }
  if (specifier.startsWith('file:')) return resolveFile(fileURLToPath(withoutQuery(specifier)), specifier);
  if (specifier.startsWith('#')) return resolvePackageImport(ts, specifier, fromFile);
  if (/^[a-z]+:/.test(specifier)) return found({ kind: 'missing', specifier });
  return found({ kind: 'package', name: packageName(specifier) });
}

/** The package of a bare specifier: `@scope/name/sub` is `@scope/name`. */
export function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The path of a definition's file, which engines tell as a path or as a URL, with a query or without. */
export function filePathOf(file: string): string {
  if (file.startsWith('file:')) return realPath(fileURLToPath(withoutQuery(file)));
  return realPath(existsSync(file) ? file : withoutQuery(file));
}

/** The path without symbolic links; as given where there is no such file. */
export function realPath(file: string): string {
  return existsSync(file) ? realpathSync(file) : path.resolve(file);
}

function found(target: Target): Resolution {
  return { target, consulted: [] };
}

function withoutQuery(specifier: string): string {
  return specifier.replace(/[?#].*$/, '');
}

function resolveFile(file: string, specifier: string): Resolution {
  const typed = TYPED[path.extname(file)];
  const candidates = [
    file,
    ...(typed === undefined ? [] : [file.slice(0, -path.extname(file).length) + typed]),
    ...SOURCE.map((extension) => file + extension),
    ...SOURCE.map((extension) => path.join(file, `index${extension}`)),
  ];
  const index = candidates.findIndex((candidate) => isFile(candidate));
  const hit = candidates[index];
  return hit === undefined
    ? { target: { kind: 'missing', specifier }, consulted: candidates }
    : { target: { kind: 'local', file: realpathSync(hit) }, consulted: candidates.slice(0, index) };
}

function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** `#name` means what the nearest package.json says under `imports`. */
function resolvePackageImport(ts: TypeScript, specifier: string, fromFile: string): Resolution {
  const { resolvedModule } = ts.resolveModuleName(
    specifier,
    fromFile,
    {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      allowJs: true,
      resolveJsonModule: true,
    },
    ts.sys,
    undefined,
    undefined,
    ts.ModuleKind.ESNext,
  );
  const consulted = nearestPackageFile(path.dirname(fromFile));
  if (resolvedModule === undefined || /\.d\.[cm]?ts$/.test(resolvedModule.resolvedFileName)) {
    return { target: { kind: 'missing', specifier }, consulted };
  }
  if (resolvedModule.isExternalLibraryImport === true && resolvedModule.packageId !== undefined) {
    return { target: { kind: 'package', name: resolvedModule.packageId.name }, consulted };
  }
  return { target: { kind: 'local', file: realPath(resolvedModule.resolvedFileName) }, consulted };
}

function nearestPackageFile(folder: string): readonly string[] {
  const file = path.join(folder, 'package.json');
  if (existsSync(file)) return [file];
  const above = path.dirname(folder);
  return above === folder ? [] : nearestPackageFile(above);
}
