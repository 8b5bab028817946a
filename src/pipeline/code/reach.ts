/**
 * What an expression reaches: the units, imports and packages that can influence it, found by following names as the
 * language scopes them, through any number of files.
 *
 * The result does not depend on the order of files, imports or declarations, nor on what else stands in the files.
 */
import type typescript from 'typescript';
import { isMemberName, traitsOf, type CodeModule, type Unit } from './code-module.ts';
import type { ModuleGraph } from './module-graph.ts';
import { projectPath } from './module-graph.ts';

/** What was reached. */
export interface Reach {
  readonly unitsByModule: ReadonlyMap<CodeModule, ReadonlySet<Unit>>;
  /** What each name that crosses a file means, as lines of text. */
  readonly links: ReadonlySet<string>;
  /** Package or `node:` name to the files that import it. */
  readonly importersByPackage: ReadonlyMap<string, ReadonlySet<string>>;
  /** Reasons why more may be reached than was found. */
  readonly open: ReadonlySet<string>;
}

/** A reference to a top-level name; `member` where only one export of a whole module is meant. */
interface NameUse {
  readonly name: string;
  readonly member: string | undefined;
}

interface State {
  readonly graph: ModuleGraph;
  readonly usesByNode: WeakMap<typescript.Node, Uses>;
  readonly unitsByModule: Map<CodeModule, Set<Unit>>;
  readonly links: Set<string>;
  readonly importersByPackage: Map<string, Set<string>>;
  readonly open: Set<string>;
  readonly done: Set<string>;
}

interface Uses {
  readonly names: readonly NameUse[];
  readonly open: readonly string[];
}

/** Follows what stands in a node of a module, and what the module's import runs. */
export function createReach(graph: ModuleGraph): {
  readonly ofNode: (module: CodeModule, node: typescript.Node) => Reach;
  readonly ofModule: (module: CodeModule) => Reach;
} {
  const usesByNode = new WeakMap<typescript.Node, Uses>();
  const start = (module: CodeModule): State => {
    const state: State = {
      graph,
      usesByNode,
      unitsByModule: new Map(),
      links: new Set(),
      importersByPackage: new Map(),
      open: new Set(),
      done: new Set(),
    };
    evaluate(state, module);
    return state;
  };
  return {
    ofNode: (module, node) => {
      const state = start(module);
      const traits = traitsOf(graph.ts, node);
      followNode(state, module, node, traits.specifiers, traits.open);
      return state;
    },
    ofModule: (module) => {
      const state = start(module);
      module.units.forEach((unit) => reachUnit(state, module, unit));
      return state;
    },
  };
}

/** Whether this is the first time that something is asked for. */
function once(state: State, ...key: readonly string[]): boolean {
  const text = key.join('\0');
  if (state.done.has(text)) return false;
  state.done.add(text);
  return true;
}

/** What runs when a module is imported, and when those that it imports are. */
function evaluate(state: State, module: CodeModule): void {
  if (!once(state, 'evaluate', module.file)) return;
  module.units.filter(({ isEffect }) => isEffect).forEach((unit) => reachUnit(state, module, unit));
  for (const specifier of module.evaluated) {
    const target = state.graph.resolve(specifier, module.file);
    if (target.kind === 'local') {
      const next = state.graph.moduleByFile.get(target.file);
      if (next !== undefined) evaluate(state, next);
      else if (state.graph.faultByFile.has(target.file)) reachFile(state, target.file, undefined);
    }
  }
  module.bare.forEach((specifier) => reachSpecifier(state, module, specifier, undefined));
}

function reachUnit(state: State, module: CodeModule, unit: Unit): void {
  const units = state.unitsByModule.get(module) ?? new Set();
  if (units.has(unit)) return;
  state.unitsByModule.set(module, units.add(unit));
  followNode(state, module, unit.node, unit.traits.specifiers, unit.traits.open);
}

function followNode(
  state: State,
  module: CodeModule,
  node: typescript.Node,
  specifiers: readonly string[],
  open: readonly string[],
): void {
  const uses = usesOf(state, module, node);
  [...open, ...uses.open].forEach((reason) => state.open.add(`${module.path}: ${reason}`));
  specifiers.forEach((specifier) => reachSpecifier(state, module, specifier, '*'));
  uses.names.forEach((use) => reachName(state, module, use.name, use.member));
}

function reachName(state: State, module: CodeModule, name: string, member?: string): void {
  if (!once(state, 'name', module.file, name, member ?? '')) return;
  const source = module.importByName.get(name);
  if (source === undefined) {
    module.unitsByName.get(name)?.forEach((unit) => reachUnit(state, module, unit));
    return;
  }
  state.links.add(`${module.path}: ${name} = ${label(state, module, source.specifier)}#${source.name}`);
  reachSpecifier(state, module, source.specifier, source.name === '*' ? (member ?? '*') : source.name);
}

/** Reaches one export of what a specifier means, all of them (`*`), or its evaluation alone. */
function reachSpecifier(state: State, module: CodeModule, specifier: string, name: string | undefined): void {
  const target = state.graph.resolve(specifier, module.file);
  switch (target.kind) {
    case 'local':
      return reachFile(state, target.file, name);
    case 'package':
    case 'builtin': {
      if (isOpenBuiltin(target.name, name)) state.open.add(`${module.path}: ${target.name} ${name ?? ''}`);
      const importers = state.importersByPackage.get(target.name) ?? new Set();
      state.importersByPackage.set(target.name, importers.add(module.file));
      return;
    }
    case 'missing':
      state.open.add(`${module.path}: ${specifier}`);
      return;
  }
}

/** Parts of Node that load code by name. */
function isOpenBuiltin(builtin: string, name: string | undefined): boolean {
  if (builtin === 'node:vm') return true;
  return builtin === 'node:module' && (name === 'createRequire' || name === 'register' || name === 'default');
}

function reachFile(state: State, file: string, name: string | undefined): void {
  const { graph } = state;
  const module = graph.moduleByFile.get(file);
  if (module !== undefined) {
    evaluate(state, module);
    if (name === '*') reachAll(state, module);
    else if (name !== undefined) reachExport(state, module, name);
    return;
  }
  const where = projectPath(graph.projectFolder, file);
  const digest = graph.dataDigestByFile.get(file) ?? graph.contentDigestByFile.get(file);
  if (digest === undefined) state.open.add(where);
  else state.links.add(`${where}: ${digest}`);
}

function reachAll(state: State, module: CodeModule): void {
  if (!once(state, 'all', module.file)) return;
  [...module.exportByName.keys()].forEach((name) => reachExport(state, module, name));
  module.stars.forEach((specifier) => reachSpecifier(state, module, specifier, '*'));
}

function reachExport(state: State, module: CodeModule, name: string): void {
  if (!once(state, 'export', module.file, name)) return;
  const entry = module.exportByName.get(name);
  if (entry === undefined) {
    // Which of several `export * from` gives the name is not asked: a name that none has reaches nothing.
    module.stars.forEach((specifier) => {
      state.links.add(`${module.path}: export * = ${label(state, module, specifier)}`);
      reachSpecifier(state, module, specifier, name);
    });
    return;
  }
  if ('local' in entry) {
    if (entry.local !== name) state.links.add(`${module.path}: export ${name} = ${entry.local}`);
    reachName(state, module, entry.local);
    return;
  }
  state.links.add(`${module.path}: export ${name} = ${label(state, module, entry.specifier)}#${entry.name}`);
  reachSpecifier(state, module, entry.specifier, entry.name);
}

function label(state: State, module: CodeModule, specifier: string): string {
  const target = state.graph.resolve(specifier, module.file);
  return target.kind === 'local' ? projectPath(state.graph.projectFolder, target.file) : specifier;
}

function usesOf(state: State, module: CodeModule, node: typescript.Node): Uses {
  const known = state.usesByNode.get(node);
  if (known !== undefined) return known;
  const uses = findUses(state.graph, module, node);
  state.usesByNode.set(node, uses);
  return uses;
}

function findUses({ ts, checker }: ModuleGraph, module: CodeModule, root: typescript.Node): Uses {
  const useByKey = new Map<string, NameUse>();
  const open = new Set<string>();
  const visit = (node: typescript.Node): void => {
    if (ts.isIdentifier(node) && !isMemberName(ts, node)) {
      const symbol = ts.isShorthandPropertyAssignment(node.parent)
        ? checker.getShorthandAssignmentValueSymbol(node.parent)
        : checker.getSymbolAtLocation(node);
      const name = declaredName(module, symbol);
      if (name !== undefined) {
        const member = memberOf(ts, module, node, name);
        useByKey.set(`${name}\0${member ?? ''}`, { name, member });
      } else if (symbol?.declarations === undefined && (node.text === 'eval' || node.text === 'Function')) {
        open.add(node.text);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(root);
  return { names: [...useByKey.values()], open: [...open] };
}

function declaredName(module: CodeModule, symbol: typescript.Symbol | undefined): string | undefined {
  for (const declaration of symbol?.declarations ?? []) {
    const name = module.nameByDeclaration.get(declaration);
    if (name !== undefined) return name;
  }
  return undefined;
}

/** `judge` of `rules.judge`, where `rules` is a whole module. */
function memberOf(
  ts: ModuleGraph['ts'],
  module: CodeModule,
  node: typescript.Identifier,
  name: string,
): string | undefined {
  if (module.importByName.get(name)?.name !== '*') return undefined;
  const { parent } = node;
  return ts.isPropertyAccessExpression(parent) && parent.expression === node ? parent.name.text : undefined;
}
