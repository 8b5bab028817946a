import type typescript from 'typescript';
import { splitName } from '../spec.ts';
import type { CodeModule } from './code-module.ts';
import type { ModuleGraph } from './module-graph.ts';

/** Where a table's make stands, or why that cannot be told. */
export type FoundMake =
  | { readonly status: 'found'; readonly node: typescript.Node; readonly text: string }
  | {
      /** `local`: defined in this file, though not where its text tells; `open`: by way of code elsewhere. */
      readonly status: 'local' | 'open';
    };

interface Candidate {
  readonly call: typescript.CallExpression;
  /** Undefined: computed at run time. */
  readonly name: string | undefined;
  /** Undefined: not to be told from the text. */
  readonly schema: string | undefined;
  readonly isInFunction: boolean;
  readonly isInBlock: boolean;
}

/** Finds the make of a table by the factory call that names it. */
export function findMake(graph: ModuleGraph, module: CodeModule, table: string, form: string): FoundMake {
  const name = splitName(table);
  const candidates = factoryCalls(graph, module).filter(
    (candidate) =>
      (candidate.name === undefined || candidate.name === name.table) &&
      (candidate.schema === undefined || candidate.schema === name.schema),
  );
  const [candidate, another] = candidates;
  if (candidate === undefined || candidates.some(({ isInFunction }) => isInFunction))
    return { status: 'open' };
  if (another !== undefined || candidate.name === undefined || candidate.isInBlock)
    return { status: 'local' };
  return makeOf(graph, candidate.call, form);
}

function factoryCalls(graph: ModuleGraph, module: CodeModule): readonly Candidate[] {
  const { ts } = graph;
  const candidates: Candidate[] = [];
  const visit = (node: typescript.Node, isInFunction: boolean, isInBlock: boolean): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { name, expression } = node.expression;
      if (name.text === 'computed' || name.text === 'imported') {
        const [first] = node.arguments;
        candidates.push({
          call: node,
          name: first !== undefined && ts.isStringLiteralLike(first) ? first.text : undefined,
          schema: schemaOf(graph, module, expression),
          isInFunction,
          isInBlock,
        });
      }
    }
    const inFunction = isInFunction || ts.isFunctionLike(node) || ts.isClassLike(node);
    const inBlock = isInBlock || ts.isIterationStatement(node, false) || ts.isBlock(node);
    ts.forEachChild(node, (child) => visit(child, inFunction, inBlock));
  };
  visit(module.sourceFile, false, false);
  return candidates;
}

/** `'lab'` of `const lab = pipeline('lab')`, through imports of project files. */
function schemaOf(
  graph: ModuleGraph,
  module: CodeModule,
  receiver: typescript.Expression,
  depth = 0,
): string | undefined {
  const { ts } = graph;
  if (ts.isCallExpression(receiver)) {
    const [schema] = receiver.arguments;
    const isPipeline =
      ts.isIdentifier(receiver.expression) &&
      /^varve(\/|$)/.test(module.importByName.get(receiver.expression.text)?.specifier ?? '') &&
      module.importByName.get(receiver.expression.text)?.name === 'pipeline';
    return isPipeline && schema !== undefined && ts.isStringLiteralLike(schema) ? schema.text : undefined;
  }
  if (!ts.isIdentifier(receiver) || depth > 8) return undefined;
  const origin = originOf(graph, module, receiver.text, depth);
  if (origin === undefined || !ts.isVariableDeclaration(origin.node)) return undefined;
  const { initializer } = origin.node;
  const isConstant = (ts.getCombinedNodeFlags(origin.node) & ts.NodeFlags.Const) !== 0;
  return initializer === undefined || !isConstant
    ? undefined
    : schemaOf(graph, origin.module, initializer, depth + 1);
}

function originOf(
  graph: ModuleGraph,
  module: CodeModule,
  name: string,
  depth: number,
): { readonly module: CodeModule; readonly node: typescript.Node } | undefined {
  const source = module.importByName.get(name);
  if (source === undefined) {
    const unit = module.unitsByName.get(name)?.[0];
    return unit === undefined ? undefined : { module, node: unit.node };
  }
  const target = graph.resolve(source.specifier, module.file);
  const next = target.kind === 'local' ? graph.moduleByFile.get(target.file) : undefined;
  const entry = next?.exportByName.get(source.name);
  if (next === undefined || entry === undefined || !('local' in entry) || depth > 8) return undefined;
  return originOf(graph, next, entry.local, depth + 1);
}

function makeOf({ ts }: ModuleGraph, call: typescript.CallExpression, form: string): FoundMake {
  const options = call.arguments[1];
  if (options === undefined || !ts.isObjectLiteralExpression(options) || call.arguments.length !== 2) {
    return { status: 'open' };
  }
  const index = options.properties.findIndex(
    (property) =>
      property.name !== undefined &&
      (ts.isIdentifier(property.name) || ts.isStringLiteralLike(property.name)) &&
      property.name.text === form,
  );
  const property = options.properties[index];
  // What is spread after the make, or named by an expression, may replace it.
  const mayReplace = options.properties
    .slice(index + 1)
    .some((later) => ts.isSpreadAssignment(later) || (later.name && ts.isComputedPropertyName(later.name)));
  if (property === undefined || mayReplace) return { status: 'local' };
  if (ts.isPropertyAssignment(property)) return found(property.initializer);
  if (ts.isMethodDeclaration(property) || ts.isShorthandPropertyAssignment(property)) return found(property);
  return { status: 'local' };
}

function found(node: typescript.Node): FoundMake {
  return { status: 'found', node, text: node.getText() };
}
