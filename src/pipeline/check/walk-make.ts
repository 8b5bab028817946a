/**
 * Follows a make through the project's files: every name that it mentions leads to a declaration, whose code is read
 * in turn. What has no declaration in the project is a global or belongs to a package, and is told as an origin.
 *
 * A value whose origin the compiler cannot tell (a parameter, an element picked at run time) is not followed.
 */
import type typescript from 'typescript';
import { isFactory } from './find-source.ts';
import { outsideCode, type Origin, type OutsideCode, type Usage } from './outside.ts';
import type { SourceProgram } from './source-program.ts';

/** Where in the code, and by which functions it was reached. */
export interface Place {
  readonly node: typescript.Node;
  readonly via: readonly string[];
}

/** What a walk tells. */
export interface Visitor {
  readonly outside: (code: OutsideCode, origin: Origin, place: Place) => void;
  readonly node: (place: Place) => void;
}

/** What stands in a piece of code, in order: found once, told for each make that reaches it. */
type Event =
  | {
      readonly kind: 'outside';
      readonly code: OutsideCode;
      readonly origin: Origin;
      readonly node: typescript.Node;
    }
  | { readonly kind: 'node'; readonly node: typescript.Node }
  | { readonly kind: 'follow'; readonly declaration: typescript.Declaration };

/** A piece of code that is being read. */
interface Walk {
  readonly program: SourceProgram;
  readonly isTelling: (node: typescript.Node) => boolean;
  readonly events: Event[];
}

/** The code of a declaration, and whether its name is part of the way. */
interface Followed {
  readonly isNamed: boolean;
  readonly events: readonly Event[];
}

/** Walks makes and all that they reach, each declaration once for each make. */
export interface MakeWalker {
  readonly walk: (start: typescript.Node, visitor: Visitor) => void;
}

/**
 * Prepares to walk; each declaration is read once, however many makes reach it. Of the nodes that are no use of something
 * outside, visitors are told those that `isTelling` picks.
 */
export function createMakeWalker(
  program: SourceProgram,
  isTelling: (node: typescript.Node) => boolean,
): MakeWalker {
  const followedByDeclaration = new Map<typescript.Declaration, Followed>();
  const read = (declaration: typescript.Declaration): Followed => {
    const known = followedByDeclaration.get(declaration);
    if (known !== undefined) return known;
    const walk: Walk = { program, isTelling, events: [] };
    const followed = { isNamed: follow(walk, declaration), events: walk.events };
    followedByDeclaration.set(declaration, followed);
    return followed;
  };
  return {
    walk: (start, visitor) => {
      const seen = new Set<typescript.Declaration>();
      // One list that grows and shrinks: a way may be long, and mostly nobody asks for it.
      const way: string[] = [];
      const tell = (events: readonly Event[]): void => {
        for (const event of events) {
          if (event.kind !== 'follow') {
            const place = { node: event.node, via: [...way] };
            if (event.kind === 'node') visitor.node(place);
            else visitor.outside(event.code, event.origin, place);
          } else if (!seen.has(event.declaration)) {
            seen.add(event.declaration);
            const { isNamed, events: below } = read(event.declaration);
            if (isNamed) way.push(nameOf(program.ts, event.declaration));
            tell(below);
            if (isNamed) way.pop();
          }
        }
      };
      const own: Walk = { program, isTelling, events: [] };
      visit(own, start);
      tell(own.events);
    },
  };
}

function visit(walk: Walk, node: typescript.Node): void {
  const { ts } = walk.program;
  if (isTypeOnly(ts, node)) return;
  if (walk.isTelling(node)) walk.events.push({ kind: 'node', node });
  if (ts.isShorthandPropertyAssignment(node)) {
    const symbol = walk.program.checker.getShorthandAssignmentValueSymbol(node);
    return useName(walk, node.name, symbol);
  }
  if (isMemberAccess(ts, node)) return visitAccess(walk, node);
  if (ts.isIdentifier(node)) {
    if (isValueName(ts, node)) useName(walk, node, walk.program.checker.getSymbolAtLocation(node));
    return;
  }
  const origin = moduleLoad(walk.program, node);
  if (origin !== undefined) addOutside(walk, origin, 'value', node);
  visitChildren(walk, node);
}

/** What is harmless is not kept: most of what a make uses of the language is. */
function addOutside(walk: Walk, origin: Origin, usage: Usage, node: typescript.Node): void {
  const code = outsideCode(origin, usage);
  if (code !== undefined) walk.events.push({ kind: 'outside', code, origin, node });
}

function isTypeOnly(ts: SourceProgram['ts'], node: typescript.Node): boolean {
  if (ts.isExpressionWithTypeArguments(node)) return false;
  return ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node);
}

/** Whether an identifier stands for a value, and not for a member, a label or its own declaration. */
function isValueName(ts: SourceProgram['ts'], node: typescript.Identifier): boolean {
  const { parent } = node;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  if (ts.isNamedTupleMember(parent) || ts.isLabeledStatement(parent) || ts.isJsxAttribute(parent))
    return false;
  if (ts.isBreakOrContinueStatement(parent)) return false;
  const declared = (parent as { readonly name?: typescript.Node }).name;
  return declared !== node || ts.isPropertyAccessExpression(parent);
}

/** `Date.now`, and `Date['now']`, which means the same. */
type MemberAccess =
  | typescript.PropertyAccessExpression
  | (typescript.ElementAccessExpression & { readonly argumentExpression: typescript.StringLiteralLike });

function isMemberAccess(ts: SourceProgram['ts'], node: typescript.Node): node is MemberAccess {
  if (ts.isPropertyAccessExpression(node)) return true;
  return ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression);
}

function memberNode(
  ts: SourceProgram['ts'],
  node: MemberAccess,
): typescript.Node & { readonly text: string } {
  return ts.isPropertyAccessExpression(node) ? node.name : node.argumentExpression;
}

function visitAccess(walk: Walk, node: MemberAccess): void {
  const { ts, checker } = walk.program;
  const origin = originOf(walk.program, node);
  if (origin !== undefined) {
    if (!isToldAtOrigin(walk.program, node)) addOutside(walk, origin, usageOf(ts, node), node);
    followOrigin(walk, node);
    return;
  }
  const member = resolved(walk.program, checker.getSymbolAtLocation(memberNode(ts, node)));
  const declarations = (member?.declarations ?? []).filter((declaration) => isOwn(declaration));
  declarations.forEach((declaration) => walk.events.push({ kind: 'follow', declaration }));
  if (declarations.length > 0 && isBundleOfMembers(walk.program, node.expression)) return;
  visit(walk, node.expression);
}

/** An object or a module, whose other members are not used by naming one; a class's instance has run its constructor. */
function isBundleOfMembers(program: SourceProgram, node: typescript.Expression): boolean {
  const { ts, checker } = program;
  if (!ts.isIdentifier(node)) return false;
  const declaration = resolved(program, checker.getSymbolAtLocation(node))?.declarations?.[0];
  if (declaration === undefined || ts.isSourceFile(declaration)) return true;
  const initializer = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
  return initializer !== undefined && ts.isObjectLiteralExpression(initializer);
}

/** `now` of `const now = Date.now`: where the constant is declared it is told already, and there it can be allowed. */
function isToldAtOrigin(program: SourceProgram, node: typescript.Expression): boolean {
  const { ts, checker } = program;
  let root: typescript.Expression = node;
  while (isMemberAccess(ts, root)) root = root.expression;
  if (!ts.isIdentifier(root)) return false;
  const declaration = resolved(program, checker.getSymbolAtLocation(root))?.valueDeclaration;
  if (declaration === undefined || !ts.isVariableDeclaration(declaration) || !isOwn(declaration))
    return false;
  const origin = initializerOrigin(program, declaration, 0);
  return origin !== undefined && outsideCode(origin, 'value') !== undefined;
}

/** A constant that stands for something outside still has code of its own: `const db = new Pool()`. */
function followOrigin(walk: Walk, node: typescript.Expression): void {
  const { ts, checker } = walk.program;
  if (isMemberAccess(ts, node)) return followOrigin(walk, node.expression);
  if (ts.isAwaitExpression(node) || ts.isParenthesizedExpression(node)) {
    return followOrigin(walk, node.expression);
  }
  // What is loaded has been told with the member that is used of it.
  if (moduleLoad(walk.program, node) !== undefined) return;
  if (!ts.isIdentifier(node)) return visit(walk, node);
  const symbol = resolved(walk.program, checker.getSymbolAtLocation(node));
  symbol?.declarations
    ?.filter((declaration) => isOwn(declaration))
    .forEach((declaration) => walk.events.push({ kind: 'follow', declaration }));
}

function useName(walk: Walk, node: typescript.Identifier, symbol: typescript.Symbol | undefined): void {
  const origin = originOfSymbol(walk.program, node, symbol, 0);
  if (origin !== undefined && !isToldAtOrigin(walk.program, node)) {
    addOutside(walk, origin, usageOf(walk.program.ts, node), node);
  }
  resolved(walk.program, symbol)
    ?.declarations?.filter((declaration) => isOwn(declaration))
    .forEach((declaration) => walk.events.push({ kind: 'follow', declaration }));
}

/** Reads the code of a declaration; gives whether its name is part of the way. */
function follow(walk: Walk, declaration: typescript.Declaration): boolean {
  const { ts } = walk.program;
  if (ts.isFunctionLike(declaration)) visitChildren(walk, declaration);
  else if (ts.isClassLike(declaration)) followClass(walk, declaration);
  else if (ts.isExportAssignment(declaration)) visit(walk, declaration.expression);
  else if (ts.isShorthandPropertyAssignment(declaration)) {
    visit(walk, declaration);
    return false;
  } else if (ts.isBindingElement(declaration)) {
    const owner = ownerOf(ts, declaration);
    if (owner !== undefined) walk.events.push({ kind: 'follow', declaration: owner });
    return false;
  } else if (
    ts.isVariableDeclaration(declaration) ||
    ts.isPropertyAssignment(declaration) ||
    ts.isPropertyDeclaration(declaration)
  ) {
    const { initializer } = declaration;
    // Another table's definition is no code of this one.
    if (initializer !== undefined && !isFactory(ts, initializer)) visit(walk, initializer);
    // Within the walked function itself a variable adds nothing to the way.
    return isTopLevel(ts, declaration);
  }
  return true;
}

function visitChildren(walk: Walk, node: typescript.Node): void {
  walk.program.ts.forEachChild(node, (child) => visit(walk, child));
}

/** What `new` runs; methods are followed where they are named. */
function followClass(walk: Walk, node: typescript.ClassLikeDeclaration): void {
  const { ts } = walk.program;
  node.heritageClauses
    ?.filter(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)
    .forEach((clause) => clause.types.forEach(({ expression }) => visit(walk, expression)));
  for (const member of node.members) {
    if (ts.isConstructorDeclaration(member) || ts.isClassStaticBlockDeclaration(member)) {
      visitChildren(walk, member);
    } else if (ts.isPropertyDeclaration(member) && member.initializer !== undefined) {
      const isFunction =
        ts.isArrowFunction(member.initializer) || ts.isFunctionExpression(member.initializer);
      if (!isFunction) visit(walk, member.initializer);
    }
  }
}

/** The variable or parameter that a destructured name belongs to. */
function ownerOf(
  ts: SourceProgram['ts'],
  element: typescript.BindingElement,
): typescript.VariableDeclaration | undefined {
  const owner = ts.walkUpBindingElementsAndPatterns(element);
  return ts.isVariableDeclaration(owner) ? owner : undefined;
}

function isTopLevel(ts: SourceProgram['ts'], node: typescript.Node): boolean {
  return ts.findAncestor(node.parent, (parent) => ts.isFunctionLike(parent)) === undefined;
}

function isOwn(declaration: typescript.Declaration): boolean {
  return !declaration.getSourceFile().isDeclarationFile;
}

function nameOf(ts: SourceProgram['ts'], declaration: typescript.Declaration): string {
  const { name } = declaration as { readonly name?: typescript.Node };
  if (name !== undefined && ts.isIdentifier(name)) return name.text;
  return ts.isConstructorDeclaration(declaration) ? 'constructor' : 'default';
}

function resolved(
  { ts, checker }: SourceProgram,
  symbol: typescript.Symbol | undefined,
): typescript.Symbol | undefined {
  if (symbol === undefined || (symbol.flags & ts.SymbolFlags.Alias) === 0) return symbol;
  return checker.getAliasedSymbol(symbol);
}

/** Where a value comes from outside the project; undefined for what the project makes itself. */
function originOf(program: SourceProgram, node: typescript.Expression, depth = 0): Origin | undefined {
  const { ts, checker } = program;
  if (depth > 16) return undefined;
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isNonNullExpression(node)) {
    return originOf(program, node.expression, depth + 1);
  }
  if (ts.isAwaitExpression(node)) return originOf(program, node.expression, depth + 1);
  // `a ?? b` may be either; the first that comes from outside is told.
  if (ts.isBinaryExpression(node)) return eitherOrigin(program, node, depth);
  if (ts.isIdentifier(node)) return originOfSymbol(program, node, checker.getSymbolAtLocation(node), depth);
  if (isMemberAccess(ts, node)) {
    const member = memberNode(ts, node).text;
    // Of `import('pg').then(...)` the import itself is told.
    if (['then', 'catch', 'finally'].includes(member)) return undefined;
    const base = originOf(program, node.expression, depth + 1);
    return base === undefined ? reexported(program, node, depth) : withMember(base, member);
  }
  return moduleLoad(program, node);
}

function eitherOrigin(
  program: SourceProgram,
  node: typescript.BinaryExpression,
  depth: number,
): Origin | undefined {
  const { ts } = program;
  const { kind } = node.operatorToken;
  if (kind === ts.SyntaxKind.CommaToken) return originOf(program, node.right, depth + 1);
  const isChoice = kind === ts.SyntaxKind.QuestionQuestionToken || kind === ts.SyntaxKind.BarBarToken;
  if (!isChoice) return undefined;
  return originOf(program, node.left, depth + 1) ?? originOf(program, node.right, depth + 1);
}

/** `tools.readFileSync`, where `tools` is a project file that passes on what a package exports. */
function reexported(program: SourceProgram, node: MemberAccess, depth: number): Origin | undefined {
  const name = memberNode(program.ts, node);
  const symbol = program.checker.getSymbolAtLocation(name);
  if (symbol === undefined || (symbol.flags & program.ts.SymbolFlags.Alias) === 0) return undefined;
  return originOfSymbol(program, name, symbol, depth + 1);
}

function originOfSymbol(
  program: SourceProgram,
  node: { readonly text: string },
  symbol: typescript.Symbol | undefined,
  depth: number,
): Origin | undefined {
  const { ts } = program;
  const declaration = symbol?.declarations?.[0];
  if (declaration === undefined) {
    return node.text === 'undefined' || node.text === 'arguments'
      ? undefined
      : { module: undefined, path: [node.text] };
  }
  if ((ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Ambient) !== 0) {
    return { module: undefined, path: [node.text] };
  }
  const imported = importOrigin(program, symbol);
  if (imported !== undefined) return imported;
  const target = resolved(program, symbol)?.valueDeclaration;
  if (target === undefined) return undefined;
  if (ts.isVariableDeclaration(target)) return initializerOrigin(program, target, depth);
  return ts.isBindingElement(target) ? bindingOrigin(program, target, depth) : undefined;
}

/** Follows imports and re-exports up to the first that leaves the project. */
function importOrigin(program: SourceProgram, symbol: typescript.Symbol | undefined): Origin | undefined {
  const { ts, checker } = program;
  for (let current = symbol, hops = 0; current !== undefined && hops < 32; hops += 1) {
    const declaration = current.declarations?.[0];
    if (declaration === undefined || (current.flags & ts.SymbolFlags.Alias) === 0) return undefined;
    const left = leavingImport(program, declaration);
    if (left !== undefined) return left;
    const next = checker.getImmediateAliasedSymbol(current);
    if (next === current) return undefined;
    current = next;
  }
  return undefined;
}

function leavingImport(
  { ts, checker }: SourceProgram,
  declaration: typescript.Declaration,
): Origin | undefined {
  const statement = ts.findAncestor(
    declaration,
    (node): node is typescript.ImportDeclaration | typescript.ExportDeclaration =>
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node),
  );
  const specifier = statement?.moduleSpecifier;
  if (specifier === undefined || !ts.isStringLiteral(specifier)) return undefined;
  if (checker.getSymbolAtLocation(specifier) !== undefined) return undefined;
  const module = specifier.text;
  if (ts.isImportClause(declaration)) return { module, path: ['default'] };
  if (ts.isNamespaceImport(declaration) || ts.isNamespaceExport(declaration)) return { module, path: [] };
  if (ts.isImportSpecifier(declaration) || ts.isExportSpecifier(declaration)) {
    return { module, path: [(declaration.propertyName ?? declaration.name).text] };
  }
  return undefined;
}

/** `const clock = Date`: another name for the same thing. */
function initializerOrigin(
  program: SourceProgram,
  declaration: typescript.VariableDeclaration,
  depth: number,
): Origin | undefined {
  const { initializer } = declaration;
  return initializer === undefined ? undefined : originOf(program, initializer, depth + 1);
}

/** `const { now } = Date`. */
function bindingOrigin(
  program: SourceProgram,
  element: typescript.BindingElement,
  depth: number,
): Origin | undefined {
  const { ts } = program;
  const pattern = element.parent;
  const owner = pattern.parent;
  if (!ts.isObjectBindingPattern(pattern) || element.dotDotDotToken !== undefined) return undefined;
  const base = ts.isBindingElement(owner)
    ? bindingOrigin(program, owner, depth + 1)
    : ts.isVariableDeclaration(owner)
      ? initializerOrigin(program, owner, depth + 1)
      : undefined;
  const name = element.propertyName ?? element.name;
  return base === undefined || !ts.isIdentifier(name) ? undefined : withMember(base, name.text);
}

/** `import('pg')`, `require('pg')` and `process.getBuiltinModule('fs')`. */
function moduleLoad({ ts, checker }: SourceProgram, node: typescript.Node): Origin | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  const isLoad =
    expression.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(expression) && expression.text === 'require') ||
    (ts.isPropertyAccessExpression(expression) && expression.name.text === 'getBuiltinModule');
  const [specifier] = node.arguments;
  if (!isLoad || specifier === undefined || !ts.isStringLiteralLike(specifier)) return undefined;
  return checker.getSymbolAtLocation(specifier) === undefined
    ? { module: specifier.text, path: [] }
    : undefined;
}

function withMember(origin: Origin, member: string): Origin {
  return { module: origin.module, path: [...origin.path, member] };
}

function usageOf(ts: SourceProgram['ts'], node: typescript.Expression): Usage {
  const { parent } = node;
  if (ts.isParenthesizedExpression(parent) || ts.isNonNullExpression(parent)) return usageOf(ts, parent);
  if (ts.isCallExpression(parent) && parent.expression === node) {
    return parent.arguments.length === 0 ? 'call without arguments' : 'call';
  }
  if (ts.isNewExpression(parent) && parent.expression === node) {
    return (parent.arguments?.length ?? 0) === 0 ? 'new without arguments' : 'new';
  }
  return 'value';
}
