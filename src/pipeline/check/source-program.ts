import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type typescript from 'typescript';
import { resolveModule } from '../code/resolve-module.ts';
import type { TypeScript } from '../code/typescript.ts';

/** The project's own files as the compiler sees them. */
export interface SourceProgram {
  readonly ts: TypeScript;
  readonly checker: typescript.TypeChecker;
  readonly sourceFileOf: (file: string) => typescript.SourceFile | undefined;
  readonly sourceFiles: readonly typescript.SourceFile[];
}

/**
 * What types need of the language to follow a call through an array or a promise. The real libraries cost a second to
 * load, and their names (`Date`, `fetch`) must stay unknown here: what no project file declares is a global.
 */
const LANGUAGE = `
interface Object {} interface Function {} interface CallableFunction extends Function {}
interface NewableFunction extends Function {} interface IArguments {} interface RegExp {}
interface String {} interface Number {} interface Boolean {}
interface IteratorResult<T> { done?: boolean; value: T }
interface Iterator<T> { next(): IteratorResult<T> }
interface SymbolConstructor { readonly iterator: unique symbol; readonly asyncIterator: unique symbol }
declare var Symbol: SymbolConstructor;
interface Iterable<T> { [Symbol.iterator](): Iterator<T> }
interface Array<T> extends Iterable<T> {
  [n: number]: T; at(n: number): T | undefined; find(f: (value: T) => unknown): T | undefined;
  map<U>(f: (value: T, index: number) => U): U[]; flatMap<U>(f: (value: T, index: number) => U | readonly U[]): U[];
  filter(f: (value: T) => unknown): T[]; forEach(f: (value: T) => void): void; slice(a?: number, b?: number): T[];
  reduce<U>(f: (sum: U, value: T) => U, first: U): U;
}
interface ReadonlyArray<T> extends Array<T> {}
interface PromiseLike<T> { then<U>(done: (value: T) => U | PromiseLike<U>): PromiseLike<U> }
interface Promise<T> extends PromiseLike<T> { then<U>(done: (value: T) => U | PromiseLike<U>): Promise<U> }
type Readonly<T> = { readonly [N in keyof T]: T[N] };
type Partial<T> = { [N in keyof T]?: T[N] };
type Record<K extends keyof any, T> = { [N in K]: T };
type Pick<T, K extends keyof T> = { [N in K]: T[N] };
`;
const LANGUAGE_FILE = '/varve-language.d.ts';

/** Opens the definition files and every project file that they import; packages stay closed. */
export function openSources(ts: TypeScript, files: readonly string[]): SourceProgram {
  const options: typescript.CompilerOptions = {
    noLib: true,
    types: [],
    allowJs: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
  };
  const host = sourceHost(ts);
  const program = ts.createProgram({ rootNames: [LANGUAGE_FILE, ...files], options, host });
  return {
    ts,
    checker: program.getTypeChecker(),
    sourceFileOf: (file) => program.getSourceFile(file),
    sourceFiles: program.getSourceFiles().filter(({ fileName }) => fileName !== LANGUAGE_FILE),
  };
}

function sourceHost(ts: TypeScript): typescript.CompilerHost {
  const read = (file: string): string | undefined => {
    if (file === LANGUAGE_FILE) return LANGUAGE;
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  };
  return {
    getSourceFile: (file, target) => {
      const text = read(file);
      return text === undefined ? undefined : ts.createSourceFile(file, text, target, true);
    },
    getDefaultLibFileName: () => LANGUAGE_FILE,
    writeFile: () => undefined,
    getCurrentDirectory: () => path.resolve('/'),
    getCanonicalFileName: (file) => file,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    fileExists: (file) => file === LANGUAGE_FILE || existsSync(file),
    readFile: read,
    resolveModuleNameLiterals: (literals, fromFile) =>
      literals.map((literal) => ({ resolvedModule: localModule(ts, literal, fromFile) })),
  };
}

function localModule(
  ts: TypeScript,
  literal: typescript.StringLiteralLike,
  fromFile: string,
): typescript.ResolvedModuleFull | undefined {
  const { target } = resolveModule(ts, literal.text, fromFile);
  const extension = target.kind === 'local' ? path.extname(target.file) : '';
  return target.kind === 'local' && /^\.[cm]?[jt]sx?$/.test(extension)
    ? { resolvedFileName: target.file, extension, isExternalLibraryImport: false }
    : undefined;
}
