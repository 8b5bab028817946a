/**
 * A source file taken apart into what can be reached one by one.
 *
 * Files come here in a normal form that esbuild prints (no types, no comments, one way of spacing and quoting), so the
 * text of a unit is the same for equal code however it was written.
 *
 * | in the file | becomes |
 * |---|---|
 * | `function f`, `class C` | a unit of that name |
 * | `const a = 1, { b, c } = f()` | two units, `a` and `b c`: reached only by who names them |
 * | `export default EXPRESSION` | a unit `default` |
 * | any other statement | an effect: it runs on import, so it is always reached (so are some initialisers, see `load-effect.ts`) |
 * | `lab.computed('x', { ... })` as a statement | a unit that nobody reaches: definitions change no code |
 * | a file without import and export (CommonJS, a script) | one effect |
 */
import type typescript from 'typescript';
import type { TypeScript } from './typescript.ts';

/** A piece of a module that is reached as a whole. */
export interface Unit {
  readonly names: readonly string[];
  readonly text: string;
  readonly node: typescript.Node;
  readonly isEffect: boolean;
  readonly traits: Traits;
}

/** What an expression does beside naming things. */
export interface Traits {
  /** Modules and files named by text: `import('./x.ts')`, `require('x')`, `new URL('./x.txt', import.meta.url)`. */
  readonly specifiers: readonly string[];
  /** What makes its reach unknown. */
  readonly open: readonly string[];
}

/** Where an imported or re-exported name comes from; `*` is the whole module. */
export interface Source {
  readonly specifier: string;
  readonly name: string;
}

/** A source file in units. */
export interface CodeModule {
  /** Absolute. */
  readonly file: string;
  /** Relative to the project folder, with forward slashes. */
  readonly path: string;
  readonly sourceFile: typescript.SourceFile;
  /** False for CommonJS and scripts. */
  readonly hasExports: boolean;
  readonly units: readonly Unit[];
  /** Several only where `var` declares a name again. */
  readonly unitsByName: ReadonlyMap<string, readonly Unit[]>;
  /** Top-level declarations to the local name that they give. */
  readonly nameByDeclaration: ReadonlyMap<typescript.Node, string>;
  readonly importByName: ReadonlyMap<string, Source>;
  readonly exportByName: ReadonlyMap<string, Source | { readonly local: string }>;
  /** `export * from`. */
  readonly stars: readonly string[];
  /** What its import runs, in order, each once. */
  readonly evaluated: readonly string[];
  /** Imports without a name. */
  readonly bare: readonly string[];
  /** Everything that it names by text. */
  readonly specifiers: readonly string[];
}

interface Draft {
  readonly ts: TypeScript;
  readonly sourceFile: typescript.SourceFile;
  readonly units: Unit[];
  readonly nameByDeclaration: Map<typescript.Node, string>;
  readonly importByName: Map<string, Source>;
  readonly exportByName: Map<string, Source | { readonly local: string }>;
  readonly stars: string[];
  readonly evaluated: Set<string>;
  readonly bare: string[];
}

/** Takes a file in normal form apart. */
export function readModule(
  ts: TypeScript,
  sourceFile: typescript.SourceFile,
  place: { readonly file: string; readonly path: string },
): CodeModule {
  const draft: Draft = {
    ts,
    sourceFile,
    units: [],
    nameByDeclaration: new Map(),
    importByName: new Map(),
    exportByName: new Map(),
    stars: [],
    evaluated: new Set(),
    bare: [],
  };
  if (ts.isExternalModule(sourceFile)) {
    sourceFile.statements.forEach((statement) => readStatement(draft, statement));
  } else {
    addUnit(draft, [], sourceFile, sourceFile.text, true);
  }
  const unitsByName = new Map<string, Unit[]>();
  for (const unit of draft.units) {
    unit.names.forEach((name) => unitsByName.set(name, [...(unitsByName.get(name) ?? []), unit]));
  }
  const evaluated = [...draft.evaluated];
  const specifiers = [...new Set([...evaluated, ...draft.units.flatMap((unit) => unit.traits.specifiers)])];
  const hasExports = ts.isExternalModule(sourceFile);
  return { ...draft, ...place, hasExports, unitsByName, evaluated, specifiers };
}

function readStatement(draft: Draft, statement: typescript.Statement): void {
  const { ts } = draft;
  if (ts.isImportDeclaration(statement)) return readImport(draft, statement);
  if (ts.isExportDeclaration(statement)) return readExport(draft, statement);
  if (ts.isVariableStatement(statement)) return readVariables(draft, statement);
  if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement))
    return readNamed(draft, statement);
  if (ts.isExportAssignment(statement)) {
    addUnit(draft, ['default'], statement, statement.expression.getText(), false);
    draft.exportByName.set('default', { local: 'default' });
    return;
  }
  if (ts.isEmptyStatement(statement)) return;
  const isDefinition = ts.isExpressionStatement(statement) && isFactoryCall(ts, statement.expression);
  addUnit(draft, [], statement, statement.getText(), !isDefinition);
}

function addUnit(
  draft: Draft,
  names: readonly string[],
  node: typescript.Node,
  text: string,
  isEffect: boolean,
): void {
  draft.units.push({ names, node, text, isEffect, traits: traitsOf(draft.ts, node) });
}

function readImport(draft: Draft, statement: typescript.ImportDeclaration): void {
  const { ts } = draft;
  const specifier = (statement.moduleSpecifier as typescript.StringLiteral).text;
  draft.evaluated.add(specifier);
  const clause = statement.importClause;
  if (clause === undefined) {
    draft.bare.push(specifier);
    return;
  }
  const bind = (node: typescript.Node, local: string, name: string) => {
    draft.nameByDeclaration.set(node, local);
    draft.importByName.set(local, { specifier, name });
  };
  if (clause.name !== undefined) bind(clause, clause.name.text, 'default');
  const named = clause.namedBindings;
  if (named === undefined) return;
  if (ts.isNamespaceImport(named)) return bind(named, named.name.text, '*');
  named.elements.forEach((element) =>
    bind(element, element.name.text, (element.propertyName ?? element.name).text),
  );
}

function readExport(draft: Draft, statement: typescript.ExportDeclaration): void {
  const { ts } = draft;
  const specifier = statement.moduleSpecifier && (statement.moduleSpecifier as typescript.StringLiteral).text;
  if (specifier !== undefined) draft.evaluated.add(specifier);
  const clause = statement.exportClause;
  if (clause === undefined) {
    if (specifier !== undefined) draft.stars.push(specifier);
    return;
  }
  if (ts.isNamespaceExport(clause)) {
    if (specifier !== undefined) draft.exportByName.set(clause.name.text, { specifier, name: '*' });
    return;
  }
  for (const element of clause.elements) {
    const name = (element.propertyName ?? element.name).text;
    draft.exportByName.set(
      element.name.text,
      specifier === undefined ? { local: name } : { specifier, name },
    );
  }
}

function readVariables(draft: Draft, statement: typescript.VariableStatement): void {
  const { ts } = draft;
  const { flags, declarations } = statement.declarationList;
  const keyword =
    (flags & ts.NodeFlags.Const) !== 0 ? 'const' : (flags & ts.NodeFlags.Let) !== 0 ? 'let' : 'var';
  for (const declaration of declarations) {
    const names = bindNames(draft, declaration);
    addUnit(draft, names, declaration, `${keyword} ${declaration.getText()}`, false);
    if (isExported(ts, statement)) names.forEach((name) => draft.exportByName.set(name, { local: name }));
  }
}

/** The names that a declaration or a pattern in it gives. */
function bindNames(
  draft: Draft,
  declaration: typescript.VariableDeclaration | typescript.BindingElement,
): readonly string[] {
  const { ts } = draft;
  if (ts.isIdentifier(declaration.name)) {
    draft.nameByDeclaration.set(declaration, declaration.name.text);
    return [declaration.name.text];
  }
  return declaration.name.elements.flatMap((element) =>
    ts.isOmittedExpression(element) ? [] : bindNames(draft, element),
  );
}

function readNamed(
  draft: Draft,
  statement: typescript.FunctionDeclaration | typescript.ClassDeclaration,
): void {
  const { ts } = draft;
  const name = statement.name?.text ?? 'default';
  draft.nameByDeclaration.set(statement, name);
  addUnit(draft, [name], statement, withoutExport(ts, statement), false);
  if (!isExported(ts, statement)) return;
  const isDefault = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword) ?? false;
  draft.exportByName.set(isDefault ? 'default' : name, { local: name });
}

/** Whether others may import a thing is no part of the thing. */
function withoutExport(
  ts: TypeScript,
  statement: typescript.FunctionDeclaration | typescript.ClassDeclaration,
): string {
  const exporting = statement.modifiers?.filter(
    ({ kind }) => kind === ts.SyntaxKind.ExportKeyword || kind === ts.SyntaxKind.DefaultKeyword,
  );
  const text = statement.getText();
  const end = exporting?.at(-1)?.end;
  if (end === undefined || statement.modifiers?.[0] !== exporting?.[0]) return text;
  return text.slice(end - statement.getStart()).trimStart();
}

function isExported(ts: TypeScript, node: typescript.HasModifiers): boolean {
  return node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

/** `lab.computed('x', { ... })`: a definition, whose arguments nobody reaches by running it. */
export function isFactoryCall(ts: TypeScript, node: typescript.Node): node is typescript.CallExpression {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  const [name, options] = node.arguments;
  return (
    ts.isIdentifier(node.expression.expression) &&
    ['manual', 'lookup', 'imported', 'computed'].includes(node.expression.name.text) &&
    name !== undefined &&
    ts.isStringLiteralLike(name) &&
    options !== undefined &&
    ts.isObjectLiteralExpression(options)
  );
}

/** Looks for what names modules and files by text, and for what cannot be followed. */
export function traitsOf(ts: TypeScript, root: typescript.Node): Traits {
  const specifiers: string[] = [];
  const open: string[] = [];
  const name = (argument: typescript.Node | undefined, what: string) => {
    if (argument !== undefined && ts.isStringLiteralLike(argument)) specifiers.push(argument.text);
    else open.push(what);
  };
  const visit = (node: typescript.Node): void => {
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      name(node.arguments[0], 'import()');
    } else if (ts.isIdentifier(node) && node.text === 'require' && !isMemberName(ts, node)) {
      const call = node.parent;
      if (ts.isCallExpression(call) && call.expression === node) name(call.arguments[0], 'require()');
      else if (!ts.isVariableDeclaration(call) || call.name !== node) open.push('require');
    } else if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) {
      const relative = relativeUrl(ts, node);
      if (relative !== undefined) specifiers.push(relative);
      else if (!/^import\.meta\.main$/.test(node.parent.getText())) open.push('import.meta');
    }
    ts.forEachChild(node, visit);
  };
  visit(root);
  return { specifiers, open };
}

/** `./x.txt` of `new URL('./x.txt', import.meta.url)`. */
function relativeUrl(ts: TypeScript, meta: typescript.MetaProperty): string | undefined {
  const access = meta.parent;
  if (!ts.isPropertyAccessExpression(access) || access.name.text !== 'url') return undefined;
  const creation = access.parent;
  if (!ts.isNewExpression(creation) || creation.expression.getText() !== 'URL') return undefined;
  const [target, base] = creation.arguments ?? [];
  if (base !== access || target === undefined || !ts.isStringLiteralLike(target)) return undefined;
  return /^\.{1,2}\/.*[^/]$/.test(target.text) ? target.text : undefined;
}

/** Whether an identifier names a member and so no variable. */
export function isMemberName(ts: TypeScript, node: typescript.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isPropertyAssignment(parent) || ts.isMethodDeclaration(parent) || ts.isPropertyDeclaration(parent)) {
    return parent.name === node;
  }
  return ts.isBindingElement(parent) && parent.propertyName === node;
}
