import type typescript from 'typescript';
import { isMemberName, type CodeModule } from './code-module.ts';
import type { ModuleGraph } from './module-graph.ts';

/** A reference to a top-level name; `member` where only one export of a whole module is meant. */
export interface NameUse {
  readonly name: string;
  readonly member: string | undefined;
}

/** The top-level names that stand in a node, and what there cannot be followed. */
export interface Uses {
  readonly names: readonly NameUse[];
  readonly open: readonly string[];
}

/** The uses of a node, each node read once. */
export type UsesOf = (module: CodeModule, node: typescript.Node) => Uses;

/** Prepares to ask for uses. */
export function createUses(graph: ModuleGraph): UsesOf {
  const usesByNode = new WeakMap<typescript.Node, Uses>();
  return (module, node) => {
    const known = usesByNode.get(node);
    if (known !== undefined) return known;
    const uses = findUses(graph, module, node);
    usesByNode.set(node, uses);
    return uses;
  };
}

/** The top-level name that an identifier means; undefined for a local name, a member, a global. */
export function topLevelName(
  { ts, checker }: ModuleGraph,
  module: CodeModule,
  node: typescript.Identifier,
): string | undefined {
  if (isMemberName(ts, node)) return undefined;
  return declaredName(module, symbolOf(ts, checker, node));
}

/** Whether nothing in the file declares the name of an identifier. */
export function isGlobal({ ts, checker }: ModuleGraph, node: typescript.Identifier): boolean {
  return !isMemberName(ts, node) && symbolOf(ts, checker, node)?.declarations === undefined;
}

/** Names that run code given as text, or tell where a file lies. */
const OPEN_GLOBALS: ReadonlySet<string> = new Set(['eval', 'Function', '__dirname', '__filename']);
const OPEN_MEMBERS: ReadonlySet<string> = new Set(['eval', 'getBuiltinModule', 'dlopen', 'binding']);

function findUses(graph: ModuleGraph, module: CodeModule, root: typescript.Node): Uses {
  const { ts } = graph;
  const useByKey = new Map<string, NameUse>();
  const open = new Set<string>();
  const visit = (node: typescript.Node): void => {
    if (ts.isIdentifier(node)) {
      const name = topLevelName(graph, module, node);
      if (name !== undefined) {
        const member = memberOf(ts, module, node, name);
        useByKey.set(`${name}\0${member ?? ''}`, { name, member });
      } else if (OPEN_GLOBALS.has(node.text) && isGlobal(graph, node)) open.add(node.text);
      else if (OPEN_MEMBERS.has(node.text) && isGlobalMember(graph, node)) open.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(root);
  return { names: [...useByKey.values()], open: [...open] };
}

/** `globalThis.eval`, `process.getBuiltinModule`. */
function isGlobalMember(graph: ModuleGraph, node: typescript.Identifier): boolean {
  const { ts } = graph;
  if (!ts.isPropertyAccessExpression(node.parent) || node.parent.name !== node) return false;
  const { expression } = node.parent;
  return ts.isIdentifier(expression) && isGlobal(graph, expression);
}

function symbolOf(
  ts: ModuleGraph['ts'],
  checker: typescript.TypeChecker,
  node: typescript.Identifier,
): typescript.Symbol | undefined {
  return ts.isShorthandPropertyAssignment(node.parent)
    ? checker.getShorthandAssignmentValueSymbol(node.parent)
    : checker.getSymbolAtLocation(node);
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
