/**
 * Where code names tables: in the calls of a query builder, and in SQL texts.
 *
 * A text counts as SQL where it is a template with the tag `sql`, or the first argument of a call that runs statements;
 * any other text that happens to parse is prose.
 */
import type typescript from 'typescript';
import type { SourceProgram } from './source-program.ts';
import { relationsOf, type Relation } from './sql-relation.ts';

/** Tables named at a place in the code. */
export interface Mention {
  readonly node: typescript.Node;
  readonly via: readonly string[];
  /** Empty: a table is named by a value that the text does not tell. */
  readonly relations: readonly Relation[];
}

/** What a walk has seen of tables so far. */
export interface MentionCollector {
  readonly see: (node: typescript.Node, via: readonly string[]) => void;
  readonly mentions: () => Promise<readonly Mention[]>;
}

const BUILDER = new Set(
  `selectFrom innerJoin leftJoin rightJoin fullJoin crossJoin innerJoinLateral leftJoinLateral crossJoinLateral
  crossApply outerApply insertInto replaceInto updateTable deleteFrom mergeInto from using`.split(/\s+/),
);
const WITH = new Set(['with', 'withRecursive']);
const RUNNERS = new Set(
  'query execute exec executeQuery raw unsafe prepare simple sql rawQuery queryRaw $queryRawUnsafe'.split(
    ' ',
  ),
);

/** Whether a node may name a table; quickly told, for every node of the code. */
export function mayMention({ ts }: SourceProgram, node: typescript.Node): boolean {
  if (ts.isTaggedTemplateExpression(node)) return true;
  const method = ts.isCallExpression(node) ? methodOf(ts, node) : undefined;
  return method !== undefined && (BUILDER.has(method) || RUNNERS.has(method) || WITH.has(method));
}

interface Text {
  readonly node: typescript.Node;
  readonly via: readonly string[];
  readonly text: string;
  readonly isSql: boolean;
}

/** Collects mentions during a walk; names that `with` gives are known only at its end. */
export function collectMentions(program: SourceProgram): MentionCollector {
  const builder: Mention[] = [];
  const unknown: Mention[] = [];
  const texts: Text[] = [];
  const withNames = new Set<string>();
  const { ts } = program;
  return {
    see: (node, via) => {
      if (ts.isTaggedTemplateExpression(node)) {
        // A template inside another is part of its text.
        if (isSqlTag(program, node.tag) && !isNested(program, node)) {
          texts.push({ node, via, text: templateText(program, node.template), isSql: true });
        }
      }
      if (!ts.isCallExpression(node)) return;
      const method = methodOf(ts, node);
      const [first] = node.arguments;
      if (method === undefined || first === undefined) return;
      if (WITH.has(method)) {
        literals(program, first).forEach((name) => withNames.add(name.replace(/\(.*$/, '').trim()));
      } else if (BUILDER.has(method) && ts.isPropertyAccessExpression(node.expression)) {
        const relations = tableNames(program, method, first);
        if (relations === undefined) unknown.push({ node: first, via, relations: [] });
        else if (relations.length > 0) builder.push({ node: first, via, relations });
      } else if (RUNNERS.has(method) && !isPattern(program, node.expression)) {
        sqlTexts(program, first).forEach((text) => texts.push({ node: first, via, text, isSql: false }));
      }
    },
    mentions: async () => {
      const parsed = await Promise.all(
        texts.map(async ({ node, via, text, isSql }) => ({
          node,
          via,
          relations: await relationsOf(text, isSql),
        })),
      );
      const named = [...builder, ...parsed.filter(({ relations }) => relations.length > 0)];
      return [
        ...unknown,
        ...named.flatMap((mention) => {
          const relations = mention.relations.filter(
            ({ schema, name }) => schema !== undefined || !withNames.has(name),
          );
          return relations.length === 0 ? [] : [{ ...mention, relations }];
        }),
      ];
    },
  };
}

/** `/x/.exec(text)` runs no statement. */
function isPattern({ ts, checker }: SourceProgram, callee: typescript.Expression): boolean {
  if (!ts.isPropertyAccessExpression(callee)) return false;
  return (
    (checker.getTypeAtLocation(callee.expression).symbol as typescript.Symbol | undefined)?.name === 'RegExp'
  );
}

function methodOf(ts: SourceProgram['ts'], call: typescript.CallExpression): string | undefined {
  if (ts.isPropertyAccessExpression(call.expression)) return call.expression.name.text;
  return ts.isIdentifier(call.expression) ? call.expression.text : undefined;
}

/** Builder's methods whose name alone says what they are. */
const PLAIN = new Set('selectFrom insertInto updateTable deleteFrom mergeInto'.split(' '));

/**
 * The tables that a builder's call names; undefined where it names one by a value that cannot be told. `from` and `using`
 * are common words: there a name counts only with a builder's call before it. So are `schema` methods of `withSchema`.
 */
function tableNames(
  program: SourceProgram,
  method: string,
  argument: typescript.Expression,
): readonly Relation[] | undefined {
  const { ts } = program;
  if (method === 'from' || method === 'using') {
    const chain = argument.parent.getText();
    if (!/\b(?:updateTable|deleteFrom|mergeInto)\s*\(/.test(chain)) return [];
  }
  const items = ts.isArrayLiteralExpression(argument) ? argument.elements : [argument];
  const schema = schemaOf(program, argument.parent);
  const found = items.map((item) =>
    literals(program, item).map((text) => inSchema(relationOf(text), schema)),
  );
  const isUnknown =
    PLAIN.has(method) && items.some((item, at) => found[at]?.length === 0 && isValue(ts, item));
  return isUnknown ? undefined : found.flat();
}

/** Whether an expression is a name given at run time, and not a sub-select, a callback or a piece of SQL. */
function isValue(ts: SourceProgram['ts'], node: typescript.Expression): boolean {
  return (
    ts.isIdentifier(node) ||
    ts.isTemplateExpression(node) ||
    ts.isBinaryExpression(node) ||
    ts.isElementAccessExpression(node) ||
    ts.isPropertyAccessExpression(node)
  );
}

/** `other` of `db.withSchema('other').selectFrom('mouse')`. */
function schemaOf(program: SourceProgram, call: typescript.Node): string | undefined {
  const { ts } = program;
  let node: typescript.Node = call;
  while (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const [first] = node.arguments;
    if (node.expression.name.text === 'withSchema' && first !== undefined) return literals(program, first)[0];
    node = node.expression.expression;
  }
  return undefined;
}

function inSchema(relation: Relation, schema: string | undefined): Relation {
  return relation.schema === undefined && schema !== undefined ? { ...relation, schema } : relation;
}

/** `lab.mouse as m`. */
function relationOf(text: string): Relation {
  const name = text.replace(/\s+as\s+.*$/i, '').trim();
  const dot = name.indexOf('.');
  return dot === -1 ? { schema: undefined, name } : { schema: name.slice(0, dot), name: name.slice(dot + 1) };
}

/** The texts that an expression can be, as far as its type says. */
function literals({ ts, checker }: SourceProgram, node: typescript.Expression): readonly string[] {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isFunctionLike(node)) return [];
  const type = checker.getTypeAtLocation(node);
  const types = type.isUnion() ? type.types : [type];
  return types.every((member) => member.isStringLiteral())
    ? types.flatMap((member) => (member.isStringLiteral() ? [member.value] : []))
    : [];
}

function sqlTexts(program: SourceProgram, argument: typescript.Expression): readonly string[] {
  const { ts } = program;
  if (ts.isTemplateExpression(argument)) return [templateText(program, argument)];
  if (ts.isBinaryExpression(argument)) return [concatenated(program, argument)];
  if (ts.isObjectLiteralExpression(argument)) {
    return argument.properties.flatMap((property) =>
      ts.isPropertyAssignment(property) && property.name.getText() === 'text'
        ? sqlTexts(program, property.initializer)
        : [],
    );
  }
  return literals(program, argument);
}

function concatenated(program: SourceProgram, node: typescript.Expression): string {
  if (program.ts.isBinaryExpression(node)) {
    return concatenated(program, node.left) + concatenated(program, node.right);
  }
  return sqlTexts(program, node)[0] ?? ' $1 ';
}

function isSqlTag({ ts }: SourceProgram, tag: typescript.Expression): boolean {
  if (ts.isIdentifier(tag)) return tag.text.toLowerCase() === 'sql';
  return ts.isPropertyAccessExpression(tag) && ['sql', 'raw', '$queryRaw', 'query'].includes(tag.name.text);
}

function isNested(program: SourceProgram, node: typescript.TaggedTemplateExpression): boolean {
  const { ts } = program;
  return ts.isTemplateSpan(node.parent) && ts.isTaggedTemplateExpression(node.parent.parent.parent)
    ? isSqlTag(program, node.parent.parent.parent.tag)
    : false;
}

/** The statement of a template: names and pieces in place, a parameter for every value. */
function templateText(program: SourceProgram, template: typescript.TemplateLiteral): string {
  const { ts } = program;
  if (ts.isNoSubstitutionTemplateLiteral(template)) return template.text;
  return template.templateSpans.reduce(
    (text, span) => text + spanText(program, span.expression) + span.literal.text,
    template.head.text,
  );
}

const NAMING = new Set(['table', 'id', 'ref', 'lit', 'raw']);

function spanText(program: SourceProgram, node: typescript.Expression): string {
  const { ts } = program;
  if (ts.isTaggedTemplateExpression(node) && isSqlTag(program, node.tag)) {
    return templateText(program, node.template);
  }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return '$1';
  const method = node.expression.name.text;
  if (!NAMING.has(method)) return '$1';
  const names = node.arguments.flatMap((argument) => literals(program, argument));
  if (names.length === 0) return '$1';
  if (method === 'raw') return names.join('');
  return names
    .flatMap((name) => (method === 'id' ? [name] : name.split('.')))
    .map((name) => `"${name}"`)
    .join('.');
}
