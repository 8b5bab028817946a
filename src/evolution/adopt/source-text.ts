/** Pieces of TypeScript, laid out as prettier does with single quotes and a width of 110. */

/** The width that lines are held to. */
const WIDTH = 110;

/** A string in quotes: single ones, unless that takes more escapes. */
export function quoted(text: string): string {
  const single = text.split("'").length;
  const quote = single > text.split('"').length ? '"' : "'";
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(String.raw`\"`, '"');
  return `${quote}${escaped.replaceAll(quote, `\\${quote}`)}${quote}`;
}

/** The name of a member: quoted only where it must be. */
export function memberName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/u.test(name) ? name : quoted(name);
}

/** A piece of code that knows how to break. */
export type Code =
  | string
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, value: Code])[] }
  | { readonly kind: 'list'; readonly items: readonly Code[] }
  /** `t`, `.text()`, `.nullable()` */
  | { readonly kind: 'chain'; readonly links: readonly string[] }
  /** `Mouse`, the object that `.as` is given, `.optional()` */
  | {
      readonly kind: 'reference';
      readonly table: string;
      readonly names: Code | undefined;
      readonly calls: readonly string[];
    }
  /** `part(`, its one argument, `)` */
  | { readonly kind: 'call'; readonly name: string; readonly argument: Code };

/** An object of these members; those that are undefined are left out. */
export function objectCode(members: readonly (readonly [string, Code | undefined])[]): Code {
  return {
    kind: 'object',
    members: members.filter((member): member is [string, Code] => member[1] !== undefined),
  };
}

/** The code, where `before` stands on its line already and `after` will follow it. */
export function printCode(code: Code, indent: number, before: number, after: number): string {
  const line = oneLine(code);
  if (!line.includes('\n') && indent + before + line.length + after <= WIDTH) return line;
  if (typeof code === 'string') return line;
  const inner = indent + 2;
  const pad = ' '.repeat(inner);
  const end = ' '.repeat(indent);
  switch (code.kind) {
    case 'object': {
      const lines = code.members.map(
        ([name, value]) => `${pad}${printMember(memberName(name), value, inner)},`,
      );
      return `{\n${lines.join('\n')}\n${end}}`;
    }
    case 'list': {
      const lines = code.items.map((item) => `${pad}${printCode(item, inner, 0, 1)},`);
      return `[\n${lines.join('\n')}\n${end}]`;
    }
    case 'call':
      return `${code.name}(${printCode(code.argument, indent, before + code.name.length + 1, after + 1)})`;
    case 'chain':
      return brokenChain(code.links, indent);
    case 'reference':
      return brokenReference(code, indent);
  }
}

function printMember(key: string, value: Code, indent: number): string {
  const text = printCode(value, indent, key.length + 2, 1);
  const isTooLong = typeof value === 'string' && indent + key.length + 3 + text.length > WIDTH;
  return isTooLong && /^['"]/u.test(text) ? `${key}:\n${' '.repeat(indent + 2)}${text}` : `${key}: ${text}`;
}

/** A single call stays and its arguments go below; several stand below each other. */
function brokenChain([head = '', ...calls]: readonly string[], indent: number): string {
  const [only, another] = calls;
  if (only !== undefined && another === undefined) return `${head}${broken(only, indent)}`;
  const pad = ' '.repeat(indent + 2);
  return [head, ...calls.map((call) => `${pad}${fitted(call, indent + 2)}`)].join('\n');
}

function fitted(call: string, indent: number): string {
  return indent + call.length <= WIDTH ? call : broken(call, indent);
}

function brokenReference(
  { table, names, calls }: Extract<Code, { readonly kind: 'reference' }>,
  indent: number,
): string {
  if (names === undefined) return `${table}${calls.join('')}`;
  const head = `${table}.as(${printCode(names, indent, WIDTH, 0)})`;
  return calls.length < 2
    ? `${head}${calls.join('')}`
    : [head, ...calls.map((call) => `${' '.repeat(indent + 2)}${call}`)].join('\n');
}

/** `.describe(\n  'long',\n)`, an argument on each line. */
function broken(call: string, indent: number): string {
  const at = call.indexOf('(');
  const pad = ' '.repeat(indent + 2);
  const given = argumentsOf(call.slice(at + 1, -1)).map((argument) => `${pad}${argument},\n`);
  return given.length === 0 ? call : `${call.slice(0, at + 1)}\n${given.join('')}${' '.repeat(indent)})`;
}

/** Arguments as they are written: strings, numbers, and what stands in brackets. */
function argumentsOf(text: string): readonly string[] {
  const pieces = text.match(/(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\{.*\}|\[.*\]|\(.*\)|[^,'"])+/gu) ?? [];
  return pieces.map((piece) => piece.trim());
}

/** Several rows stand below each other, however short they are. */
function isTable(items: readonly Code[]): boolean {
  const size = (item: Code): number => {
    if (typeof item === 'string') return 0;
    if (item.kind === 'object') return item.members.length;
    return item.kind === 'list' ? item.items.length : 0;
  };
  const kinds = new Set(items.map((item) => (typeof item === 'string' ? 'text' : item.kind)));
  return items.length > 1 && kinds.size === 1 && items.every((item) => size(item) > 1);
}

/** The code on one line; with a line feed where it has to break. */
function oneLine(code: Code): string {
  if (typeof code === 'string') return code;
  switch (code.kind) {
    case 'object':
      return code.members.length === 0
        ? '{}'
        : `{ ${code.members.map(([name, value]) => `${memberName(name)}: ${oneLine(value)}`).join(', ')} }`;
    case 'list':
      return isTable(code.items) ? '\n' : `[${code.items.map(oneLine).join(', ')}]`;
    case 'chain':
      return code.links.join('');
    case 'reference': {
      const as = code.names === undefined ? '' : `.as(${oneLine(code.names)})`;
      return `${code.table}${as}${code.calls.join('')}`;
    }
    case 'call':
      return `${code.name}(${oneLine(code.argument)})`;
  }
}
