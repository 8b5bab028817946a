/**
 * Which units do something beside giving their names when their module loads, so that they count even for a make that
 * names none of them.
 *
 * | at the top of a module | |
 * |---|---|
 * | `config.low = 5;` and any other statement | an effect |
 * | `const count = list.push(2)` | writes to another top-level name: an effect |
 * | `const first = next()`, where `next` writes to a top-level name or a global, however deep | an effect |
 * | `const done = fill(config)`, where `fill` writes to what it is given | an effect |
 * | `const first = random()`, where `random` is a value that a call gave | may keep a state: an effect |
 * | `const limit = Math.max(...sizes)`, `const names = sizes.map(String)` | none |
 * | `const Verdict = audit.computed('verdict', { ... })` | none: its functions run later |
 *
 * A package's functions are taken to keep no state between two calls.
 */
import type typescript from 'typescript';
import type { CodeModule, Unit } from './code-module.ts';
import type { Meaning, Meanings } from './meaning.ts';
import type { ModuleGraph } from './module-graph.ts';
import { isGlobal, topLevelName, type UsesOf } from './name-use.ts';

/** Asks whether a unit has an effect on loading. */
export interface LoadEffects {
  readonly has: (unit: Unit) => boolean;
}

/** What the code of a unit writes to, wherever in it. */
interface Writes {
  /** A top-level name or a global. */
  readonly outside: boolean;
  /** A parameter, or what may be another's. */
  readonly given: boolean;
}

interface Search {
  readonly graph: ModuleGraph;
  readonly meanings: Meanings;
  readonly usesOf: UsesOf;
  readonly writesByUnit: Map<Unit, Writes>;
}

/** Looks through all units of a graph. */
export function createLoadEffects(graph: ModuleGraph, meanings: Meanings, usesOf: UsesOf): LoadEffects {
  const search: Search = { graph, meanings, usesOf, writesByUnit: new Map() };
  const effects = new Set<Unit>();
  for (const module of graph.moduleByFile.values()) {
    for (const unit of module.units) if (isEffect(search, module, unit)) effects.add(unit);
  }
  return effects;
}

function isEffect(search: Search, module: CodeModule, unit: Unit): boolean {
  const { ts } = search.graph;
  if (unit.isEffect) return true;
  if (unit.names.length === 0 || ts.isFunctionDeclaration(unit.node)) return false;
  let found = false;
  const visit = (node: typescript.Node): void => {
    if (found || (ts.isFunctionLike(node) && !mayRunAtOnce(ts, node))) return;
    if (writtenRoots(ts, node).some((root) => writesElsewhere(search, module, unit, root))) found = true;
    else if (isCall(ts, node) && !isDefinition(ts, node)) found = callHasEffect(search, module, unit, node);
    ts.forEachChild(node, visit);
  };
  visit(unit.node);
  return found;
}

function writesElsewhere(
  { graph }: Search,
  module: CodeModule,
  unit: Unit,
  root: typescript.Identifier,
): boolean {
  const name = topLevelName(graph, module, root);
  return name === undefined ? isGlobal(graph, root) : !unit.names.includes(name);
}

type Call = typescript.CallExpression | typescript.NewExpression | typescript.TaggedTemplateExpression;

function isCall(ts: ModuleGraph['ts'], node: typescript.Node): node is Call {
  return ts.isCallExpression(node) || ts.isNewExpression(node) || ts.isTaggedTemplateExpression(node);
}

function calleeOf(ts: ModuleGraph['ts'], call: Call): typescript.Expression {
  return ts.isTaggedTemplateExpression(call) ? call.tag : call.expression;
}

const DEFINING: ReadonlySet<string> = new Set(['manual', 'lookup', 'imported', 'computed']);

/** `lab.computed(...)`: what it is given runs later, if ever. */
function isDefinition(ts: ModuleGraph['ts'], node: typescript.Node): boolean {
  return (
    ts.isCallExpression(node) &&
    ts.isPropertyAccessExpression(node.expression) &&
    DEFINING.has(node.expression.name.text)
  );
}

/** Methods that give a value and change nothing. */
const READERS: ReadonlySet<string> = new Set(
  `map filter flatMap flat slice concat join includes indexOf lastIndexOf at find findIndex findLast some every reduce
  reduceRight forEach keys values entries get has toSorted toReversed toSpliced with split trim trimStart trimEnd
  toLowerCase toUpperCase replace replaceAll match matchAll padStart padEnd repeat startsWith endsWith charAt charCodeAt
  codePointAt substring localeCompare normalize toString toFixed toPrecision toISOString toJSON getTime valueOf
  union intersection difference then catch finally as optional unique from column columns all matching`.split(
    /\s+/,
  ),
);

function callHasEffect(search: Search, module: CodeModule, unit: Unit, call: Call): boolean {
  const { graph } = search;
  const { ts } = graph;
  const callee = calleeOf(ts, call);
  if (keepsState(search, module, unit, callee)) return true;
  const given = [...(ts.isTaggedTemplateExpression(call) ? [call.template] : (call.arguments ?? []))];
  const nodes = [callee, ...given];
  const below = nodes.map((node) => writesBelow(search, module, node));
  if (below.some(({ outside }) => outside)) return true;
  const mayWrite =
    below.some((each) => each.given) || nodes.some((node) => ownWrites(search, module, node).given);
  return mayWrite && nodes.some((node) => mentionsValue(search, module, unit, node));
}

/** Whether a call may change what the callee holds: `random()` or `random.next()`, where `random` is what a call gave. */
function keepsState(search: Search, module: CodeModule, unit: Unit, callee: typescript.Expression): boolean {
  const { ts } = search.graph;
  const isMethod = ts.isPropertyAccessExpression(callee);
  if (isMethod && READERS.has(callee.name.text)) return false;
  const owner = isMethod ? callee.expression : callee;
  if (!ts.isIdentifier(owner)) return false;
  const name = topLevelName(search.graph, module, owner);
  if (name === undefined || unit.names.includes(name)) return false;
  return search.meanings.ofName(module, name).targets.some((target) => {
    if (target.kind !== 'unit' || !ts.isVariableDeclaration(target.unit.node)) return false;
    const { initializer } = target.unit.node;
    return initializer !== undefined && isGivenByCall(ts, initializer);
  });
}

function isGivenByCall(ts: ModuleGraph['ts'], node: typescript.Expression): boolean {
  if (ts.isAwaitExpression(node) || ts.isParenthesizedExpression(node))
    return isGivenByCall(ts, node.expression);
  return ts.isCallExpression(node) || ts.isNewExpression(node);
}

/** Whether a node leads to a top-level value that is no function, and so may be written to by whom it is given. */
function mentionsValue(search: Search, module: CodeModule, unit: Unit, node: typescript.Node): boolean {
  const { ts } = search.graph;
  return unitsBelow(search, module, node).some(
    ({ unit: other }) =>
      other === undefined ||
      (other !== unit && ts.isVariableDeclaration(other.node) && !isFunctionValue(search, other)),
  );
}

function isFunctionValue({ graph: { ts } }: Search, { node }: Unit): boolean {
  const initializer = ts.isVariableDeclaration(node) ? node.initializer : undefined;
  return (
    initializer !== undefined && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))
  );
}

/** What the code that a node's names lead to writes to. */
function writesBelow(search: Search, module: CodeModule, node: typescript.Node): Writes {
  const writes = unitsBelow(search, module, node).map(({ unit, module: owner }) =>
    unit === undefined ? { outside: true, given: true } : writesOf(search, owner, unit),
  );
  return { outside: writes.some(({ outside }) => outside), given: writes.some(({ given }) => given) };
}

interface Below {
  /** Undefined: a whole module. */
  readonly unit: Unit | undefined;
  readonly module: CodeModule;
}

/** The units that a node's names lead to, through any number of names. */
function unitsBelow(search: Search, module: CodeModule, node: typescript.Node): readonly Below[] {
  const belowByThing = new Map<Unit | CodeModule, Below>();
  const follow = (meaning: Meaning): void => {
    for (const target of meaning.targets) {
      if (target.kind === 'text') continue;
      const unit = target.kind === 'unit' ? target.unit : undefined;
      if (belowByThing.has(unit ?? target.module)) continue;
      belowByThing.set(unit ?? target.module, { unit, module: target.module });
      if (unit !== undefined) followNames(target.module, unit.node);
    }
  };
  const followNames = (owner: CodeModule, root: typescript.Node): void => {
    for (const { name, member } of search.usesOf(owner, root).names) {
      follow(search.meanings.ofName(owner, name, member));
    }
  };
  followNames(module, node);
  return [...belowByThing.values()];
}

function writesOf(search: Search, module: CodeModule, unit: Unit): Writes {
  const known = search.writesByUnit.get(unit);
  if (known !== undefined) return known;
  // What a CommonJS file does when it is called is not followed.
  const writes = module.hasExports ? ownWrites(search, module, unit.node) : { outside: true, given: true };
  search.writesByUnit.set(unit, writes);
  return writes;
}

function ownWrites({ graph }: Search, module: CodeModule, root: typescript.Node): Writes {
  const { ts } = graph;
  let outside = false;
  let given = false;
  const visit = (node: typescript.Node): void => {
    // What a definition is given runs when tables are computed, not when modules load.
    if (isDefinition(ts, node)) return;
    for (const target of writtenRoots(ts, node)) {
      if (topLevelName(graph, module, target) !== undefined || isGlobal(graph, target)) outside = true;
      else if (!ts.isIdentifier(writtenTo(ts, target)) && !isFresh(graph, target)) given = true;
    }
    ts.forEachChild(node, visit);
  };
  visit(root);
  return { outside, given };
}

/** The whole of what is written to where an identifier is its root: `a.b` of `a.b = 1`. */
function writtenTo(ts: ModuleGraph['ts'], node: typescript.Identifier): typescript.Node {
  const { parent } = node;
  const isOwner =
    (ts.isPropertyAccessExpression(parent) || ts.isElementAccessExpression(parent)) &&
    parent.expression === node;
  return isOwner ? parent : node;
}

/** Whether a local name holds what was made where it is declared, and so is nobody else's. */
function isFresh({ ts, checker }: ModuleGraph, node: typescript.Identifier): boolean {
  const declaration = checker.getSymbolAtLocation(node)?.valueDeclaration;
  if (declaration === undefined) return false;
  if (ts.isParameter(declaration)) return isAccumulator(ts, declaration);
  if (!ts.isVariableDeclaration(declaration)) return false;
  const { initializer } = declaration;
  if (initializer === undefined) return false;
  return (
    isLiteral(ts, initializer) ||
    ts.isNewExpression(initializer) ||
    (ts.isCallExpression(initializer) && ts.isPropertyAccessExpression(initializer.expression))
  );
}

/** `sum` of `list.reduce((sum, item) => ..., {})`. */
function isAccumulator(ts: ModuleGraph['ts'], parameter: typescript.ParameterDeclaration): boolean {
  const { parent } = parameter;
  const call = parent.parent;
  if (parent.parameters[0] !== parameter || !ts.isCallExpression(call) || call.arguments[0] !== parent)
    return false;
  const first = call.arguments[1];
  const isReduce =
    ts.isPropertyAccessExpression(call.expression) && call.expression.name.text.startsWith('reduce');
  return isReduce && first !== undefined && (isLiteral(ts, first) || ts.isNewExpression(first));
}

function isLiteral(ts: ModuleGraph['ts'], node: typescript.Node): boolean {
  return ts.isObjectLiteralExpression(node) || ts.isArrayLiteralExpression(node);
}

const MUTATORS: ReadonlySet<string> = new Set(
  'push unshift splice pop shift sort reverse fill copyWithin set add delete clear append register use'.split(
    ' ',
  ),
);
const MUTATING_STATICS: ReadonlySet<string> = new Set(
  'assign defineProperty defineProperties setPrototypeOf set deleteProperty'.split(' '),
);

/** The identifiers at the root of what a node itself writes to. */
function writtenRoots(ts: ModuleGraph['ts'], node: typescript.Node): readonly typescript.Identifier[] {
  const targets = writtenTargets(ts, node).map((target) => rootOf(ts, target));
  return targets.filter((root) => root !== undefined);
}

function writtenTargets(ts: ModuleGraph['ts'], node: typescript.Node): readonly typescript.Node[] {
  if (ts.isBinaryExpression(node) && isAssignment(ts, node)) return assigned(ts, node.left);
  if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
    return isUpdate(ts, node.operator) ? [node.operand] : [];
  }
  if (ts.isDeleteExpression(node)) return [node.expression];
  if (
    (ts.isForOfStatement(node) || ts.isForInStatement(node)) &&
    !ts.isVariableDeclarationList(node.initializer)
  ) {
    return assigned(ts, node.initializer);
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return [];
  const { name, expression } = node.expression;
  return [
    ...(MUTATORS.has(name.text) ? [expression] : []),
    ...(MUTATING_STATICS.has(name.text) ? node.arguments.slice(0, 1) : []),
  ];
}

/** `a` and `b.c` of `[a, b.c] = list`; a pattern may be nested. */
function assigned(ts: ModuleGraph['ts'], target: typescript.Node): readonly typescript.Node[] {
  if (ts.isArrayLiteralExpression(target)) return target.elements.flatMap((element) => assigned(ts, element));
  if (ts.isSpreadElement(target)) return assigned(ts, target.expression);
  if (ts.isBinaryExpression(target)) return assigned(ts, target.left);
  if (!ts.isObjectLiteralExpression(target)) return [target];
  return target.properties.flatMap((property) => {
    if (ts.isPropertyAssignment(property)) return assigned(ts, property.initializer);
    if (ts.isShorthandPropertyAssignment(property)) return [property.name];
    return ts.isSpreadAssignment(property) ? assigned(ts, property.expression) : [];
  });
}

/** `a` of `a.b[c]`. */
function rootOf(ts: ModuleGraph['ts'], node: typescript.Node): typescript.Identifier | undefined {
  if (ts.isIdentifier(node)) return node;
  const isPath =
    ts.isPropertyAccessExpression(node) ||
    ts.isElementAccessExpression(node) ||
    ts.isParenthesizedExpression(node) ||
    ts.isNonNullExpression(node);
  return isPath ? rootOf(ts, node.expression) : undefined;
}

/** A function that is called where it stands, or handed to a call in whatever wrapping, which may call it. */
function mayRunAtOnce(ts: ModuleGraph['ts'], node: typescript.Node): boolean {
  const { parent } = node;
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) return !isDefinition(ts, parent);
  const isWrapping =
    ts.isParenthesizedExpression(parent) ||
    ts.isPropertyAssignment(parent) ||
    ts.isObjectLiteralExpression(parent) ||
    ts.isArrayLiteralExpression(parent) ||
    ts.isConditionalExpression(parent) ||
    ts.isSpreadElement(parent);
  return isWrapping && mayRunAtOnce(ts, parent);
}

function isAssignment(ts: ModuleGraph['ts'], node: typescript.BinaryExpression): boolean {
  const { kind } = node.operatorToken;
  return kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;
}

function isUpdate(ts: ModuleGraph['ts'], operator: typescript.SyntaxKind): boolean {
  return operator === ts.SyntaxKind.PlusPlusToken || operator === ts.SyntaxKind.MinusMinusToken;
}
