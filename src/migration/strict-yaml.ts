import { isMap, isScalar, LineCounter, parseDocument, visit, type Document, type Node } from 'yaml';
import type { Json } from '../base/index.ts';

/** Something that a strict reading does not accept, with its place; lines and columns count from 1. */
export interface YamlFault {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

/** A YAML text as plain JSON, with the places of its nodes. */
export interface StrictYaml {
  readonly value: Json;
  /** Line and column of the node at a JSON Pointer, or of the nearest one above it that exists. */
  readonly placeOf: (pointer: string) => { readonly line: number; readonly column: number };
}

/**
 * Reads YAML 1.2 with the core schema and nothing that means more than it shows: no alias, anchor, merge key, tag or
 * second document, keys are unique texts, a warning is a fault. `no` and dates stay text, and a number is written as a
 * plain decimal whole number (M10, M22).
 */
export function parseStrictYaml(text: string): StrictYaml | { readonly faults: readonly YamlFault[] } {
  const counter = new LineCounter();
  const parsed = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    strict: true,
    // Keys are compared below: the parser compares each with each, which takes minutes for some thousand keys.
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: counter,
  });
  const place = placeIn(counter);
  const problems = [...parsed.errors, ...parsed.warnings];
  const faults = problems.map(({ pos, code }) => ({ ...place(pos[0]), reason: code.toLowerCase() }));
  if (faults.length === 0) faults.push(...hiddenMeanings(parsed, place));
  if (faults.length > 0) return { faults };
  return {
    value: parsed.toJS({ maxAliasCount: 0 }) as Json,
    placeOf: (pointer) => place(offsetOf(parsed, pointer)),
  };
}

type Place = (offset: number) => { readonly line: number; readonly column: number };

function placeIn(counter: LineCounter): Place {
  return (offset) => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
}

function hiddenMeanings(parsed: Document.Parsed, place: Place): YamlFault[] {
  const faults: YamlFault[] = [];
  const fault = (node: Node | null, reason: string): void => {
    faults.push({ ...place(node?.range?.[0] ?? 0), reason });
  };
  // A directive can change what everything after it means, such as by another version of YAML.
  const { yaml, tags } = parsed.directives;
  if (yaml.explicit === true || Object.keys(tags).length > 1)
    faults.push({ ...place(0), reason: 'directive' });
  visit(parsed, {
    Alias: (_key, node) => fault(node, 'alias'),
    Map: (_key, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) fault(key, 'duplicate_key');
        seen.add(key.value);
      }
    },
    Pair: (_key, { key }) => {
      const node = key as Node | null;
      if (!isScalar(node) || typeof node.value !== 'string') fault(node, 'key_not_text');
      else if (node.value === '<<') fault(node, 'merge_key');
    },
    Node: (key, node) => {
      if (node.tag !== undefined) fault(node, 'tag');
      if ('anchor' in node && node.anchor !== undefined) fault(node, 'anchor');
      if (key === 'key' || !isScalar(node) || typeof node.value !== 'number') return;
      if (!/^(?:0|[1-9]\d*)$/u.test(node.source ?? '')) fault(node, 'number_not_plain');
    },
  });
  return faults;
}

function offsetOf(parsed: Document.Parsed, pointer: string): number {
  const names = pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
  for (let depth = names.length; depth > 0; depth -= 1) {
    const above: unknown = parsed.getIn(names.slice(0, depth - 1), true);
    const key = isMap(above)
      ? above.items.find((pair) => isScalar(pair.key) && pair.key.value === names[depth - 1])?.key
      : undefined;
    if (isScalar(key)) return key.range?.[0] ?? 0;
    const item = parsed.getIn(names.slice(0, depth), true) as Node | undefined;
    if (item?.range) return item.range[0];
  }
  return parsed.contents?.range[0] ?? 0;
}
