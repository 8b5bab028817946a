/**
 * What an expression reaches: the units, imports and packages that can influence it, found by following names as the
 * language scopes them, through any number of files.
 *
 * The units and the names that lead from one to the next form a graph whose edges are told apart by their labels. It is
 * walked from the expression, edges in the order of their labels, and its nodes are numbered as they are met. Two pieces
 * of code have the same source exactly when their graphs are the same: neither the files that the units stand in, nor the
 * order of files, imports or declarations, nor what else stands there, is part of it.
 *
 * ```text
 * 0 clean=scrub#clean judge=1.judge          the make, and what its names mean
 * | ({pkg})=>({allowed:judge(clean(pkg.license))})
 * 1 allowed=2.allowed
 * | function judge(license){return allowed.includes(license)}
 * 2
 * | const allowed=["MIT"]
 * order dotenv/config 2 3                    what runs when the modules load, where anything there has an effect
 * ```
 */
import type typescript from 'typescript';
import { traitsOf, type CodeModule, type Traits, type Unit } from './code-module.ts';
import { createLoadEffects, type LoadEffects } from './load-effect.ts';
import { createMeanings, type Meaning, type Meanings, type Target } from './meaning.ts';
import type { ModuleGraph } from './module-graph.ts';
import { createUses, type UsesOf } from './name-use.ts';

/** What was reached. */
export interface Reach {
  /** The code reached; see the head of this file. */
  readonly source: string;
  /** Package or `node:` name to the files that import it. */
  readonly importersByPackage: ReadonlyMap<string, ReadonlySet<string>>;
  /** Reasons why more may be reached than was found. */
  readonly open: ReadonlySet<string>;
}

/** Where a walk begins. */
interface Entry {
  readonly text: string;
  readonly edges: ReadonlyMap<string, readonly Target[]>;
}

/** What modules do when they are loaded, in order: a package with an effect, or a module's own statements. */
type Loading = { readonly specifier: string } | { readonly module: CodeModule };

interface State {
  readonly graph: ModuleGraph;
  readonly meanings: Meanings;
  readonly usesOf: UsesOf;
  readonly effects: LoadEffects;
  readonly importersByPackage: Map<string, Set<string>>;
  readonly open: Set<string>;
  readonly loaded: Set<CodeModule>;
  readonly loading: Loading[];
}

/** Follows what stands in a node of a module, and what the module's import runs. */
export function createReach(graph: ModuleGraph): {
  /** From an expression; `text` is what stands for it. */
  readonly ofNode: (module: CodeModule, node: typescript.Node, text: string) => Reach;
  /** From all that stands in a module; `text` is what stands for the make itself. */
  readonly ofModule: (module: CodeModule, text: string) => Reach;
} {
  const meanings = createMeanings(graph);
  const usesOf = createUses(graph);
  const effects = createLoadEffects(graph, meanings, usesOf);
  const start = (module: CodeModule): State => {
    const state: State = {
      graph,
      meanings,
      usesOf,
      effects,
      importersByPackage: new Map(),
      open: new Set(),
      loaded: new Set(),
      loading: [],
    };
    load(state, module);
    return state;
  };
  return {
    ofNode: (module, node, text) => {
      const state = start(module);
      return walk(state, { text, edges: edgesOf(state, module, node, traitsOf(graph.ts, node)) });
    },
    ofModule: (module, text) => {
      const state = start(module);
      const targets = module.units.map((unit) => ({ kind: 'unit', unit, module, name: '' }) as const);
      return walk(state, { text, edges: new Map([['*', targets]]) });
    },
  };
}

/** What runs when a module is loaded: first what it imports, in order, then its own statements. */
function load(state: State, module: CodeModule): void {
  if (state.loaded.has(module)) return;
  state.loaded.add(module);
  for (const specifier of module.evaluated) {
    const target = state.graph.resolve(specifier, module.file);
    const next = target.kind === 'local' ? state.graph.moduleByFile.get(target.file) : undefined;
    if (next !== undefined) load(state, next);
    else if (target.kind === 'local' && state.graph.faultByFile.has(target.file)) {
      state.loading.push({ specifier: state.graph.contentDigestByFile.get(target.file) ?? specifier });
    } else if (module.bare.includes(specifier)) {
      state.loading.push({ specifier });
      pass(state, module, state.meanings.ofSpecifier(module, specifier, '*'));
    }
  }
  state.loading.push({ module });
}

/** Takes note of what lies on the way to a meaning. */
function pass(state: State, module: CodeModule, { modules, packages, open }: Meaning): void {
  modules.forEach((passed) => load(state, passed));
  open.forEach((reason) => state.open.add(`${module.path}: ${reason}`));
  for (const { name, member, importer } of packages) {
    if (isOpenBuiltin(name, member)) state.open.add(`${importer.path}: ${name} ${member}`);
    const importers = state.importersByPackage.get(name) ?? new Set();
    state.importersByPackage.set(name, importers.add(importer.file));
  }
}

const RUNS_OTHER_CODE: ReadonlySet<string> = new Set([
  'node:vm',
  'node:child_process',
  'node:worker_threads',
  'node:cluster',
  'node:wasi',
]);

/** Parts of Node that run code which is named by a path or a text. */
function isOpenBuiltin(builtin: string, name: string): boolean {
  if (RUNS_OTHER_CODE.has(builtin)) return true;
  const isWhole = name === '*' || name === 'default' || name === 'Module';
  return builtin === 'node:module' && (isWhole || /^(?:createRequire|register|registerHooks)$/.test(name));
}

/** Label to what it means; a label stands once. */
function edgesOf(
  state: State,
  module: CodeModule,
  node: typescript.Node,
  traits: Traits,
): ReadonlyMap<string, readonly Target[]> {
  const edges = new Map<string, readonly Target[]>();
  const uses = state.usesOf(module, node);
  [...traits.open, ...uses.open].forEach((reason) => state.open.add(`${module.path}: ${reason}`));
  const add = (label: string, meaning: Meaning): void => {
    pass(state, module, meaning);
    edges.set(label, meaning.targets);
  };
  for (const { name, member } of uses.names) {
    const label = member === undefined ? name : `${name}.${member}`;
    add(label, state.meanings.ofName(module, name, member));
  }
  for (const specifier of traits.specifiers) {
    add(`import ${specifier}`, state.meanings.ofSpecifier(module, specifier, '*'));
  }
  return edges;
}

function exportEdges(state: State, module: CodeModule): ReadonlyMap<string, readonly Target[]> {
  const edges = new Map<string, readonly Target[]>();
  for (const [name, meaning] of state.meanings.exportsOf(module)) {
    pass(state, module, meaning);
    edges.set(name, meaning.targets);
  }
  return edges;
}

interface Node {
  readonly text: string;
  readonly edges: readonly (readonly [label: string, targets: readonly string[]])[];
}

interface Numbering {
  readonly state: State;
  readonly numberByThing: Map<Unit | CodeModule, number>;
  readonly nodes: (Node | undefined)[];
}

function walk(state: State, entry: Entry): Reach {
  const numbering: Numbering = { state, numberByThing: new Map(), nodes: [undefined] };
  numbering.nodes[0] = { text: entry.text, edges: numberedEdges(numbering, entry.edges) };
  // What an effect reaches may load further modules, whose effects follow.
  for (const item of state.loading) {
    if (!('module' in item)) continue;
    for (const unit of item.module.units) {
      if (state.effects.has(unit)) numberOf(numbering, { kind: 'unit', unit, module: item.module, name: '' });
    }
  }
  const lines = numbering.nodes.flatMap((node, index) => (node === undefined ? [] : nodeLines(index, node)));
  return { ...state, source: [...lines, ...orderLine(numbering)].join('\n') };
}

function numberedEdges(numbering: Numbering, edges: ReadonlyMap<string, readonly Target[]>): Node['edges'] {
  return [...edges]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([label, targets]) => [label, targets.map((target) => targetText(numbering, target))] as const);
}

function targetText(numbering: Numbering, target: Target): string {
  if (target.kind === 'text') return target.text;
  const number = String(numberOf(numbering, target));
  return target.kind === 'unit' && target.name !== '' ? `${number}.${target.name}` : number;
}

function numberOf(numbering: Numbering, target: Exclude<Target, { readonly kind: 'text' }>): number {
  const thing = target.kind === 'unit' ? target.unit : target.module;
  const known = numbering.numberByThing.get(thing);
  if (known !== undefined) return known;
  const number = numbering.nodes.length;
  numbering.numberByThing.set(thing, number);
  numbering.nodes.push(undefined);
  const { state } = numbering;
  if (target.kind === 'unit') {
    const { unit, module } = target;
    const edges = edgesOf(state, module, unit.node, unit.traits);
    // That a name declared here means what is declared here goes without saying.
    const others = new Map([...edges].filter(([name]) => !unit.names.includes(name)));
    numbering.nodes[number] = { text: unit.text, edges: numberedEdges(numbering, others) };
  } else {
    load(state, target.module);
    const edges = numberedEdges(numbering, exportEdges(state, target.module));
    numbering.nodes[number] = { text: 'a whole module', edges };
  }
  return number;
}

/** Lines of text begin with a bar, so no text can be taken for a line of the graph. */
function nodeLines(index: number, { text, edges }: Node): readonly string[] {
  const words = edges.map(([label, targets]) => `${quoted(label)}=${targets.map(quoted).join('|')}`);
  return [[String(index), ...words].join(' '), ...text.split('\n').map((line) => `| ${line}`)];
}

function quoted(text: string): string {
  return /^[\w$.#@/:*-]+$/.test(text) ? text : JSON.stringify(text);
}

/** Where nothing has an effect, initialisers see no difference in their order. */
function orderLine({ state, numberByThing }: Numbering): readonly string[] {
  const hasEffects = state.loading.some((item) =>
    'module' in item ? item.module.units.some((unit) => state.effects.has(unit)) : true,
  );
  if (!hasEffects) return [];
  const words = state.loading.flatMap((item) => {
    if (!('module' in item)) return [quoted(item.specifier)];
    return item.module.units.flatMap((unit) => {
      const number = numberByThing.get(unit);
      return number === undefined || state.graph.ts.isFunctionDeclaration(unit.node) ? [] : [String(number)];
    });
  });
  return [['order', ...words].join(' ')];
}
