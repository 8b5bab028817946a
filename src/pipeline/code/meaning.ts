/**
 * What names mean across files: a name in a module, an export of a module, a specifier with a member.
 *
 * | in the code | means |
 * |---|---|
 * | `judge`, from `import { judge } from './all.ts'`, where `all.ts` passes on what `rules.ts` exports | the unit `judge` of `rules.ts` |
 * | `rules.judge`, from `import * as rules from './rules.ts'` | the same |
 * | `rules` by itself, or `import('./rules.ts')` | the whole module: all its exports by name |
 * | `clean`, from `import { clean } from 'scrub'` | the text `scrub#clean` |
 * | `import limits from './limits.json'` | the digest of that file |
 *
 * No path is part of a meaning, so that what is moved to another file, or reached by another way, stays the same.
 */
import type { CodeModule, Unit } from './code-module.ts';
import type { ModuleGraph } from './module-graph.ts';

/** What a name can stand for. */
export type Target =
  | { readonly kind: 'unit'; readonly unit: Unit; readonly module: CodeModule; readonly name: string }
  | { readonly kind: 'namespace'; readonly module: CodeModule }
  | { readonly kind: 'text'; readonly text: string };

/** What a name stands for, and what had to be passed through to find it. */
export interface Meaning {
  /** Several where `export *` leaves it open, or `var` declares twice; none where nothing has the name. */
  readonly targets: readonly Target[];
  /** Modules that are loaded on the way, in order. */
  readonly modules: readonly CodeModule[];
  /** Packages and parts of Node that are loaded on the way. */
  readonly packages: readonly {
    readonly name: string;
    readonly member: string;
    readonly importer: CodeModule;
  }[];
  /** Why more may be meant. */
  readonly open: readonly string[];
}

/** Asks for meanings; each is found once. */
export interface Meanings {
  /** `member` where only one export of a whole module is meant. */
  readonly ofName: (module: CodeModule, name: string, member?: string) => Meaning;
  /** One export of what a specifier names; `*` is all of it. */
  readonly ofSpecifier: (module: CodeModule, specifier: string, name: string) => Meaning;
  /** All exports of a module, by name; those of a package that it passes on whole stand under `* PACKAGE`. */
  readonly exportsOf: (module: CodeModule) => ReadonlyMap<string, Meaning>;
}

const NOTHING: Meaning = { targets: [], modules: [], packages: [], open: [] };

/** Prepares to ask for meanings in a graph of modules. */
export function createMeanings(graph: ModuleGraph): Meanings {
  const known = new Map<string, Meaning>();
  const exportsByModule = new Map<CodeModule, ReadonlyMap<string, Meaning>>();
  const remember = (key: readonly string[], find: () => Meaning): Meaning => {
    const text = key.join('\0');
    const before = known.get(text);
    if (before !== undefined) return before;
    const found = find();
    known.set(text, found);
    return found;
  };
  return {
    ofName: (module, name, member) =>
      remember(['name', module.file, name, member ?? ''], () =>
        ofName(graph, module, { name, member }, new Set()),
      ),
    ofSpecifier: (module, specifier, name) =>
      remember(['specifier', module.file, specifier, name], () =>
        ofSpecifier(graph, module, { specifier, name }, new Set()),
      ),
    exportsOf: (module) => {
      const before = exportsByModule.get(module);
      if (before !== undefined) return before;
      const found = exportsOf(graph, module);
      exportsByModule.set(module, found);
      return found;
    },
  };
}

function ofName(
  graph: ModuleGraph,
  module: CodeModule,
  { name, member }: { readonly name: string; readonly member: string | undefined },
  seen: Set<string>,
): Meaning {
  const source = module.importByName.get(name);
  if (source === undefined) {
    const units = module.unitsByName.get(name) ?? [];
    return { ...NOTHING, targets: units.map((unit) => ({ kind: 'unit', unit, module, name })) };
  }
  const wanted = source.name === '*' ? (member ?? '*') : source.name;
  return ofSpecifier(graph, module, { specifier: source.specifier, name: wanted }, seen);
}

function ofSpecifier(
  graph: ModuleGraph,
  module: CodeModule,
  { specifier, name }: { readonly specifier: string; readonly name: string },
  seen: Set<string>,
): Meaning {
  const target = graph.resolve(specifier, module.file);
  switch (target.kind) {
    case 'local':
      return ofFile(graph, target.file, name, seen);
    case 'package':
    case 'builtin':
      return {
        ...NOTHING,
        targets: [{ kind: 'text', text: `${target.kind === 'builtin' ? target.name : specifier}#${name}` }],
        packages: [{ name: target.name, member: name, importer: module }],
      };
    case 'missing':
      return {
        ...NOTHING,
        targets: [{ kind: 'text', text: `missing ${specifier}#${name}` }],
        open: [specifier],
      };
  }
}

function ofFile(graph: ModuleGraph, file: string, name: string, seen: Set<string>): Meaning {
  const module = graph.moduleByFile.get(file);
  if (module !== undefined) {
    const found = name === '*' ? wholeOf(module) : ofExport(graph, module, name, seen);
    return { ...found, modules: [module, ...found.modules] };
  }
  const digest = graph.dataDigestByFile.get(file) ?? graph.contentDigestByFile.get(file);
  return digest === undefined
    ? { ...NOTHING, open: ['a file that was not loaded'] }
    : { ...NOTHING, targets: [{ kind: 'text', text: digest }] };
}

function wholeOf(module: CodeModule): Meaning {
  return { ...NOTHING, targets: [{ kind: 'namespace', module }] };
}

function ofExport(graph: ModuleGraph, module: CodeModule, name: string, seen: Set<string>): Meaning {
  // Modules that pass on each other's exports in a circle give nothing more the second time.
  const key = `${module.file}\0${name}`;
  if (seen.has(key)) return NOTHING;
  seen.add(key);
  if (!module.hasExports) return scriptOf(module, name);
  const entry = module.exportByName.get(name);
  if (entry === undefined) {
    // Which of several `export * from` gives the name is not asked: a name that none has means nothing.
    const stars = name === 'default' ? [] : module.stars;
    return merged(stars.map((specifier) => ofSpecifier(graph, module, { specifier, name }, seen)));
  }
  return 'local' in entry
    ? ofName(graph, module, { name: entry.local, member: undefined }, seen)
    : ofSpecifier(graph, module, entry, seen);
}

/** CommonJS: what its exports hold is known at run time, so each is the whole file. */
function scriptOf(module: CodeModule, name: string): Meaning {
  return { ...NOTHING, targets: module.units.map((unit) => ({ kind: 'unit', unit, module, name })) };
}

function exportsOf(graph: ModuleGraph, module: CodeModule): ReadonlyMap<string, Meaning> {
  if (!module.hasExports) return new Map([['*', scriptOf(module, '*')]]);
  const names = new Set<string>();
  const passedOn = new Map<string, Meaning>();
  const seen = new Set<CodeModule>();
  const collect = (current: CodeModule): void => {
    if (seen.has(current)) return;
    seen.add(current);
    for (const name of current.exportByName.keys()) {
      if (current === module || name !== 'default') names.add(name);
    }
    for (const specifier of current.stars) {
      const target = graph.resolve(specifier, current.file);
      const next = target.kind === 'local' ? graph.moduleByFile.get(target.file) : undefined;
      if (next?.hasExports === true) collect(next);
      else passedOn.set(`* ${specifier}`, ofSpecifier(graph, current, { specifier, name: '*' }, new Set()));
    }
  };
  collect(module);
  const found = [...names].map((name) => [name, ofExport(graph, module, name, new Set())] as const);
  return new Map([...found, ...passedOn]);
}

function merged(meanings: readonly Meaning[]): Meaning {
  return {
    targets: meanings.flatMap(({ targets }) => targets),
    modules: meanings.flatMap(({ modules }) => modules),
    packages: meanings.flatMap(({ packages }) => packages),
    open: meanings.flatMap(({ open }) => open),
  };
}
