import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Loader, TransformOptions } from 'esbuild';
import type typescript from 'typescript';
import { readModule, type CodeModule } from './code-module.ts';
import { resolveModule, type Target } from './resolve-module.ts';
import { sha256Text } from './sha256-text.ts';
import type { TypeScript } from './typescript.ts';

/** The files that definitions can reach, each parsed once, and what their imports mean. */
export interface ModuleGraph {
  readonly ts: TypeScript;
  readonly projectFolder: string;
  readonly moduleByFile: ReadonlyMap<string, CodeModule>;
  /** Files that are no code, such as JSON: their digest stands for them. */
  readonly dataDigestByFile: ReadonlyMap<string, string>;
  readonly contentDigestByFile: ReadonlyMap<string, string>;
  /** Files that cannot be parsed, and why. */
  readonly faultByFile: ReadonlyMap<string, string>;
  readonly resolve: (specifier: string, fromFile: string) => Target;
  /** Files whose absence or content decided what an import of this file means. */
  readonly consultedBy: (file: string) => readonly string[];
  readonly checker: typescript.TypeChecker;
}

const LOADER: Readonly<Record<string, Loader>> = {
  '.ts': 'ts',
  '.mts': 'ts',
  '.cts': 'ts',
  '.tsx': 'tsx',
  '.js': 'js',
  '.mjs': 'js',
  '.cjs': 'js',
  '.jsx': 'jsx',
};

/** The extensions of code; any other file is data. */
const CODE_EXTENSIONS: ReadonlySet<string> = new Set(Object.keys(LOADER));

// Types, comments, spacing, quotes and number forms go; names, order and structure stay.
const NORMAL_FORM: TransformOptions = {
  minifyWhitespace: true,
  legalComments: 'none',
  charset: 'utf8',
  target: 'esnext',
  jsx: 'preserve',
  logLevel: 'silent',
  // An import without a used name still runs its module, which esbuild would otherwise forget in TypeScript files.
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
};

/** The text of a file, or of an expression, in normal form. */
export async function normalForm(text: string, extension: string): Promise<string> {
  const { transform } = await import('esbuild');
  return (await transform(text, { ...NORMAL_FORM, loader: LOADER[extension] ?? 'js' })).code;
}

/** Loads files and all local files that they name, level by level. */
export async function loadModules(
  ts: TypeScript,
  files: readonly string[],
  projectFolder: string,
): Promise<ModuleGraph> {
  const moduleByFile = new Map<string, CodeModule>();
  const dataDigestByFile = new Map<string, string>();
  const contentDigestByFile = new Map<string, string>();
  const faultByFile = new Map<string, string>();
  const resolver = createResolver(ts);
  const seen = new Set<string>(files);
  for (let level = [...seen]; level.length > 0;) {
    const loaded = await Promise.all(level.map(async (file) => loadFile(ts, file, projectFolder)));
    level = [];
    for (const item of loaded) {
      contentDigestByFile.set(item.file, item.contentDigest);
      if (item.kind === 'data') dataDigestByFile.set(item.file, item.contentDigest);
      if (item.kind === 'fault') faultByFile.set(item.file, item.reason);
      if (item.kind !== 'code') continue;
      moduleByFile.set(item.file, item.module);
      for (const specifier of item.module.specifiers) {
        const target = resolver.resolve(specifier, item.file);
        if (target.kind !== 'local' || seen.has(target.file)) continue;
        seen.add(target.file);
        level.push(target.file);
      }
    }
  }
  const sourceFiles = [...moduleByFile.values()].map(({ sourceFile }) => sourceFile);
  return {
    ts,
    projectFolder,
    moduleByFile,
    dataDigestByFile,
    contentDigestByFile,
    faultByFile,
    ...resolver,
    checker: scopeChecker(ts, sourceFiles),
  };
}

/** A path of the project as digests and findings hold it: relative, with forward slashes. */
export function projectPath(projectFolder: string, file: string): string {
  return path.relative(projectFolder, file).split(path.sep).join('/');
}

type Loaded =
  | {
      readonly kind: 'code';
      readonly file: string;
      readonly contentDigest: string;
      readonly module: CodeModule;
    }
  | { readonly kind: 'data'; readonly file: string; readonly contentDigest: string }
  | {
      readonly kind: 'fault';
      readonly file: string;
      readonly contentDigest: string;
      readonly reason: string;
    };

async function loadFile(ts: TypeScript, file: string, projectFolder: string): Promise<Loaded> {
  const content = readFileSync(file);
  const contentDigest = sha256Text(content);
  const extension = path.extname(file);
  if (!CODE_EXTENSIONS.has(extension)) return { kind: 'data', file, contentDigest };
  try {
    const text = (await normalForm(content.toString('utf8'), extension)).trimEnd();
    const kind = extension.endsWith('x') ? ts.ScriptKind.JSX : ts.ScriptKind.JS;
    const name = `${file}${extension.endsWith('x') ? '.jsx' : '.js'}`;
    const sourceFile = ts.createSourceFile(name, text, ts.ScriptTarget.ESNext, true, kind);
    const module = readModule(ts, sourceFile, { file, path: projectPath(projectFolder, file) });
    return { kind: 'code', file, contentDigest, module };
  } catch (error) {
    return {
      kind: 'fault',
      file,
      contentDigest,
      reason: error instanceof Error ? error.message : 'unreadable',
    };
  }
}

function createResolver(ts: TypeScript): Pick<ModuleGraph, 'resolve' | 'consultedBy'> {
  const resolutions = new Map<string, Target>();
  const consulted = new Map<string, Set<string>>();
  return {
    resolve: (specifier, fromFile) => {
      const key = `${fromFile}\0${specifier}`;
      const known = resolutions.get(key);
      if (known !== undefined) return known;
      const resolution = resolveModule(ts, specifier, fromFile);
      resolutions.set(key, resolution.target);
      const files = consulted.get(fromFile) ?? new Set();
      resolution.consulted.forEach((file) => files.add(file));
      consulted.set(fromFile, files);
      return resolution.target;
    },
    consultedBy: (file) => [...(consulted.get(file) ?? [])],
  };
}

/** A checker that knows scopes and nothing else: no libraries, no imports, so it costs milliseconds. */
function scopeChecker(ts: TypeScript, sourceFiles: readonly typescript.SourceFile[]): typescript.TypeChecker {
  const byName = new Map(sourceFiles.map((sourceFile) => [sourceFile.fileName, sourceFile]));
  const host: typescript.CompilerHost = {
    getSourceFile: (name) => byName.get(name),
    getDefaultLibFileName: () => 'lib.d.ts',
    writeFile: () => undefined,
    getCurrentDirectory: () => '/',
    getCanonicalFileName: (name) => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    fileExists: (name) => byName.has(name),
    readFile: () => undefined,
  };
  const options: typescript.CompilerOptions = {
    allowJs: true,
    noLib: true,
    noResolve: true,
    types: [],
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    jsx: ts.JsxEmit.Preserve,
  };
  return ts.createProgram({ rootNames: [...byName.keys()], options, host }).getTypeChecker();
}
