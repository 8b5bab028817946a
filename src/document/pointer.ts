/**
 * JSON Pointer (RFC 6901) over read-only values. Writing gives a new root that shares what lies beside the path.
 */
import type { Json } from '../base/index.ts';
import { isArray, isObject, memberOf, withMember, withoutMember } from './value.ts';

/** A place in a document: `''` is the whole, `/a/b` a member of a member. Never a pattern. */
export type Pointer = string;

/** The parts of a pointer, unescaped. */
export type Segments = readonly string[];

/** Whether a text is a pointer. */
export function isPointer(text: string): boolean {
  return text === '' || (text.startsWith('/') && !/~(?![01])/u.test(text));
}

/** The parts of a pointer. */
export function pointerToSegments(pointer: Pointer): Segments {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer of these parts. */
export function segmentsToPointer(segments: Segments): Pointer {
  return segments.map((part) => `/${escapeSegment(part)}`).join('');
}

/** One part as it stands in a pointer. */
export function escapeSegment(part: string): string {
  return part.includes('~') || part.includes('/') ? part.replaceAll('~', '~0').replaceAll('/', '~1') : part;
}

/** The value at a place, or undefined when there is none. */
export function valueAt(root: Json, segments: Segments): Json | undefined {
  let value: Json | undefined = root;
  for (const part of segments) {
    value = childOf(value, part);
    if (value === undefined) return undefined;
  }
  return value;
}

function childOf(value: Json | undefined, part: string): Json | undefined {
  if (isArray(value)) return /^(0|[1-9]\d*)$/u.test(part) ? value[Number(part)] : undefined;
  return isObject(value) ? memberOf(value, part) : undefined;
}

/**
 * The root with another value at a place; undefined takes it away. The place's parent must be there: undefined is
 * returned when it is not, or when it can hold no such member.
 */
export function withValueAt(
  root: Json,
  segments: Segments,
  value: Json | undefined,
  from = 0,
): Json | undefined {
  const part = segments[from];
  if (part === undefined) return value;
  const isLast = from === segments.length - 1;
  if (isArray(root)) {
    const at = Number(part);
    if (!/^(0|[1-9]\d*)$/u.test(part) || at >= root.length) return undefined;
    const item = isLast ? value : withValueAt(root[at] as Json, segments, value, from + 1);
    return item === undefined ? undefined : root.with(at, item);
  }
  if (!isObject(root)) return undefined;
  if (isLast) return value === undefined ? withoutMember(root, part) : withMember(root, part, value);
  const child = memberOf(root, part);
  const changed = child === undefined ? undefined : withValueAt(child, segments, value, from + 1);
  return changed === undefined ? undefined : withMember(root, part, changed);
}
