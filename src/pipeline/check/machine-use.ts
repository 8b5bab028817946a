/**
 * Where a result would follow the machine's language, its time zone or the place of a file on it: methods that take a
 * locale and are given none, methods of dates that speak of local time, `import.meta`.
 *
 * | in the code | instead |
 * |---|---|
 * | `n.toLocaleString()`, `a.localeCompare(b)`, `new Intl.NumberFormat()` | the same with a locale: `'en'` |
 * | `date.toLocaleDateString('en')`, `new Intl.DateTimeFormat('en')` | the same with `{ timeZone: 'UTC' }` |
 * | `date.getHours()`, `new Date(2020, 0, 1)` | `date.getUTCHours()`, `new Date(Date.UTC(2020, 0, 1))` |
 * | `import.meta.dirname`, `import.meta.env` | `files` of the context, a column |
 */
import type typescript from 'typescript';
import type { SourceProgram } from './source-program.ts';

/** What is used, and what to write instead. */
export interface MachineUse {
  readonly uses: string;
  readonly hint: string;
}

const LOCAL_TIME = /^(?:get|set)(?:FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds)$/;
const DATE_METHODS: ReadonlySet<string> = new Set(['toLocaleDateString', 'toLocaleTimeString']);
const LOCALE_METHODS: ReadonlySet<string> = new Set([
  'toLocaleString',
  'toLocaleUpperCase',
  'toLocaleLowerCase',
  ...DATE_METHODS,
]);

/** What a node takes from the machine; undefined where it takes nothing. */
export function machineUse(program: SourceProgram, node: typescript.Node): MachineUse | undefined {
  const { ts } = program;
  if (ts.isMetaProperty(node)) return metaUse(program, node);
  if (ts.isNewExpression(node) || ts.isCallExpression(node)) {
    const intl = intlUse(program, node);
    if (intl !== undefined) return intl;
  }
  if (ts.isNewExpression(node)) return localDate(program, node);
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return undefined;
  const { name } = node.expression;
  // A method that the project declares under such a name is its own affair.
  if (program.checker.getSymbolAtLocation(name)?.declarations !== undefined) return undefined;
  return methodUse(program, name.text, node.arguments);
}

/** `import.meta.url` beside a text is the file of that name, which reading tells of. */
function metaUse({ ts }: SourceProgram, node: typescript.MetaProperty): MachineUse | undefined {
  const access = node.parent;
  const member = ts.isPropertyAccessExpression(access) ? access.name.text : '';
  if (!['dirname', 'filename', 'url', 'env'].includes(member)) return undefined;
  if (member === 'url' && ts.isNewExpression(access.parent)) return undefined;
  return {
    uses: `import.meta.${member}`,
    hint:
      member === 'env'
        ? 'Put the value into a column or a `lookup` table and declare it under `reads`.'
        : 'Where a file lies differs between machines: read by `files` of the context, whose paths begin at the project folder.',
  };
}

function methodUse(
  program: SourceProgram,
  method: string,
  given: readonly typescript.Expression[],
): MachineUse | undefined {
  const isLocal = LOCAL_TIME.test(method);
  if (isLocal || method === 'getTimezoneOffset' || method === 'toDateString' || method === 'toTimeString') {
    return inTimeZone(method, isLocal ? `\`${method.replace(/^(get|set)/, '$1UTC')}\`` : '`toISOString`');
  }
  if (method === 'localeCompare' && !isGiven(program, given[1])) {
    return inLanguage(method, "a locale as its second argument: `a.localeCompare(b, 'en')`");
  }
  if (!LOCALE_METHODS.has(method)) return undefined;
  if (!isGiven(program, given[0]))
    return inLanguage(method, "a locale as its first argument, such as `'en'`");
  if (DATE_METHODS.has(method) && !namesTimeZone(given[1])) {
    return inTimeZone(method, "`{ timeZone: 'UTC' }` as its second argument");
  }
  return undefined;
}

function intlUse(
  program: SourceProgram,
  node: typescript.NewExpression | typescript.CallExpression,
): MachineUse | undefined {
  const { ts } = program;
  const { expression } = node;
  if (!ts.isPropertyAccessExpression(expression) || !isGlobalName(program, expression.expression, 'Intl')) {
    return undefined;
  }
  const uses = `Intl.${expression.name.text}`;
  // The class itself is `Intl.Locale`; what else is capitalised takes a locale first.
  if (!/^[A-Z]/.test(expression.name.text) || expression.name.text === 'Locale') return undefined;
  if (!isGiven(program, node.arguments?.[0]))
    return inLanguage(uses, "a locale as its first argument, such as `'en'`");
  return uses === 'Intl.DateTimeFormat' && !namesTimeZone(node.arguments?.[1])
    ? inTimeZone(uses, "`{ timeZone: 'UTC' }` as its second argument")
    : undefined;
}

/** `new Date(2020, 0, 1)` is midnight of wherever the machine stands. */
function localDate(program: SourceProgram, node: typescript.NewExpression): MachineUse | undefined {
  const isLocal = (node.arguments?.length ?? 0) > 1 && isGlobalName(program, node.expression, 'Date');
  return isLocal ? inTimeZone('Date', '`new Date(Date.UTC(...))`') : undefined;
}

function isGlobalName({ ts, checker }: SourceProgram, node: typescript.Expression, name: string): boolean {
  return (
    ts.isIdentifier(node) &&
    node.text === name &&
    checker.getSymbolAtLocation(node)?.declarations === undefined
  );
}

function isGiven({ ts }: SourceProgram, node: typescript.Expression | undefined): boolean {
  if (node === undefined) return false;
  return !(ts.isIdentifier(node) && node.text === 'undefined') && node.getText() !== '[]';
}

/** Options that are not written out may name one. */
function namesTimeZone(options: typescript.Expression | undefined): boolean {
  if (options === undefined) return false;
  const text = options.getText();
  return !text.startsWith('{') || /\btimeZone\b|\.\.\./.test(text);
}

function inLanguage(uses: string, what: string): MachineUse {
  return { uses, hint: `It follows the language of the machine: give it ${what}.` };
}

function inTimeZone(uses: string, instead: string): MachineUse {
  return { uses, hint: `It follows the time zone of the machine: use ${instead}.` };
}
