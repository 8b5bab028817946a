import type typescript from 'typescript';
import { splitName } from '../spec.ts';
import type { SourceProgram } from './source-program.ts';

/** The expressions that may be the make of a table, in its file; none where no factory call can be it. */
export function findMakeSources(
  program: SourceProgram,
  file: string,
  table: string,
  form: string,
): readonly typescript.Node[] {
  const sourceFile = program.sourceFileOf(file);
  if (sourceFile === undefined) return [];
  const { ts } = program;
  const name = splitName(table);
  return callsBelow(ts, sourceFile)
    .filter((call) => {
      const [first] = call.arguments;
      const isNamed = first !== undefined && ts.isStringLiteralLike(first);
      const method = factoryMethod(ts, call);
      const schema = ts.isPropertyAccessExpression(call.expression)
        ? schemaOf(program, call.expression.expression)
        : undefined;
      // However the factory is called: a call with this name and these options is near enough to be read.
      const isCandidate = isNamed
        ? first.text === name.table
        : method === 'computed' || method === 'imported';
      return call.arguments.length === 2 && isCandidate && (schema === undefined || schema === name.schema);
    })
    .flatMap((call) => makeOf(ts, call, form));
}

/** Exported constants by the short name of the table that they hold, where one constant alone does. */
export function constantNames(program: SourceProgram): ReadonlyMap<string, string> {
  const { ts } = program;
  const names = new Map<string, Set<string>>();
  for (const sourceFile of program.sourceFiles) {
    for (const call of callsBelow(ts, sourceFile)) {
      if (!isFactory(ts, call)) continue;
      const [first] = call.arguments;
      const { parent } = call;
      if (first === undefined || !ts.isStringLiteralLike(first)) continue;
      if (!ts.isVariableDeclaration(parent) || !ts.isIdentifier(parent.name)) continue;
      names.set(first.text, (names.get(first.text) ?? new Set()).add(parent.name.text));
    }
  }
  return new Map(
    [...names].flatMap(([table, [constant, another]]) =>
      constant === undefined || another !== undefined ? [] : [[table, constant] as const],
    ),
  );
}

/** Whether a node is `lab.computed('x', { ... })` or one of its like. */
export function isFactory(ts: SourceProgram['ts'], node: typescript.Node): boolean {
  return factoryMethod(ts, node) !== undefined;
}

function callsBelow(ts: SourceProgram['ts'], root: typescript.Node): readonly typescript.CallExpression[] {
  const calls: typescript.CallExpression[] = [];
  const visit = (node: typescript.Node): void => {
    if (ts.isCallExpression(node)) calls.push(node);
    ts.forEachChild(node, visit);
  };
  visit(root);
  return calls;
}

function factoryMethod(ts: SourceProgram['ts'], node: typescript.Node): string | undefined {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  if (node.arguments.length !== 2) return undefined;
  const method = node.expression.name.text;
  return ['manual', 'lookup', 'imported', 'computed'].includes(method) ? method : undefined;
}

function schemaOf({ ts, checker }: SourceProgram, receiver: typescript.Expression): string | undefined {
  const symbol = checker.getSymbolAtLocation(receiver);
  const resolved =
    symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0
      ? checker.getAliasedSymbol(symbol)
      : symbol;
  const declaration = resolved?.valueDeclaration;
  const initializer =
    declaration !== undefined && ts.isVariableDeclaration(declaration) ? declaration.initializer : receiver;
  if (initializer === undefined || !ts.isCallExpression(initializer)) return undefined;
  const [schema] = initializer.arguments;
  return initializer.expression.getText() === 'pipeline' &&
    schema !== undefined &&
    ts.isStringLiteralLike(schema)
    ? schema.text
    : undefined;
}

function makeOf(
  ts: SourceProgram['ts'],
  call: typescript.CallExpression,
  form: string,
): readonly typescript.Node[] {
  let options = call.arguments[1];
  while (options !== undefined && isWrapper(ts, options)) options = options.expression;
  if (options === undefined || !ts.isObjectLiteralExpression(options)) return [];
  return options.properties.filter(
    (property) =>
      ts.isSpreadAssignment(property) ||
      (property.name !== undefined &&
        (ts.isIdentifier(property.name) || ts.isStringLiteralLike(property.name)) &&
        property.name.text === form),
  );
}

function isWrapper(
  ts: SourceProgram['ts'],
  node: typescript.Node,
): node is typescript.ParenthesizedExpression | typescript.AsExpression | typescript.SatisfiesExpression {
  return ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node);
}
