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
const RUNNERS = new Set(
  'query execute exec executeQuery raw unsafe prepare simple sql rawQuery queryRaw $queryRawUnsafe'.split(
    ' ',
  ),
);

/** Collects mentions during a walk; names that `with` gives are known only at its end. */
export function collectMentions(program: SourceProgram): MentionCollector {
  const builder: Mention[] = [];
  const texts: { readonly node: typescript.Node; readonly via: readonly string[]; readonly text: string }[] =
    [];
  const withNames = new Set<string>();
  const { ts } = program;
  return {
    see: (node, via) => {
      if (ts.isTaggedTemplateExpression(node)) {
        // A template inside another is part of its text.
        if (isSqlTag(program, node.tag) && !isNested(program, node)) {
          texts.push({ node, via, text: templateText(program, node.template) });
        }
      }
      if (!ts.isCallExpression(node)) return;
      const method = methodOf(ts, node);
      const [first] = node.arguments;
      if (method === undefined || first === undefined) return;
      if (method === 'with' || method === 'withRecursive') {
        literals(program, first).forEach((name) => withNames.add(name.replace(/\(.*$/, '').trim()));
      } else if (BUILDER.has(method) && ts.isPropertyAccessExpression(node.expression)) {
        const relations = tableNames(program, method, first);
        if (relations.length > 0) builder.push({ node: first, via, relations });
      } else if (RUNNERS.has(method)) {
        sqlTexts(program, first).forEach((text) => texts.push({ node: first, via, text }));
      }
    },
    mentions: async () => {
      const parsed = await Promise.all(
        texts.map(async ({ node, via, text }) => ({ node, via, relations: await relationsOf(text) })),
      );
      return [...builder, ...parsed].map((mention) => ({
        ...mention,
        relations: mention.relations.filter(
          ({ schema, name }) => schema !== undefined || !withNames.has(name),
        ),
      }));
    },
  };
}

function methodOf(ts: SourceProgram['ts'], call: typescript.CallExpression): string | undefined {
  if (ts.isPropertyAccessExpression(call.expression)) return call.expression.name.text;
  return ts.isIdentifier(call.expression) ? call.expression.text : undefined;
}

/** `from` and `using` are common words: there a name counts only with a builder's call before it. */
function tableNames(
  program: SourceProgram,
  method: string,
  argument: typescript.Expression,
): readonly Relation[] {
  const { ts } = program;
  if (method === 'from' || method === 'using') {
    const chain = argument.parent.getText();
    if (!/\b(?:updateTable|deleteFrom|mergeInto)\s*\(/.test(chain)) return [];
  }
  const items = ts.isArrayLiteralExpression(argument) ? argument.elements : [argument];
  return items.flatMap((item) => literals(program, item)).map(relationOf);
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
