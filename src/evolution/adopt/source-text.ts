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
      const lines = code.members.map(([name, value]) => {
        const key = memberName(name);
        return `${pad}${key}: ${printCode(value, inner, key.length + 2, 1)},`;
      });
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
  }
}

/** Up to two calls stay on their line and the last one's argument goes below; more stand below each other. */
function brokenChain(links: readonly string[], indent: number): string {
  const pad = ' '.repeat(indent + 2);
  const [head = '', ...calls] = links;
  if (calls.length > 2) {
    return [head, ...calls.map((call) => `${pad}${fitted(call, indent + 2)}`)].join('\n');
  }
  return `${[head, ...calls.slice(0, -1)].join('')}${broken(calls.at(-1) ?? '', indent)}`;
}

function fitted(call: string, indent: number): string {
  return indent + call.length <= WIDTH ? call : broken(call, indent);
}

/** `.describe(\n  'long',\n)` */
function broken(call: string, indent: number): string {
  const at = call.indexOf('(');
  const argument = call.slice(at + 1, -1);
  if (argument === '') return call;
  return `${call.slice(0, at + 1)}\n${' '.repeat(indent + 2)}${argument},\n${' '.repeat(indent)})`;
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
    case 'call':
      return `${code.name}(${oneLine(code.argument)})`;
  }
}
