/**
 * Documents as bytes: what needs no step leaves as it came, and what is moved keeps its numbers and its layout.
 *
 * A number that a double would not give back is kept by its text, so it is moved untouched and never rounded. Only texts
 * that hold one are parsed the slow way.
 */
import { refusal, type Finding, type Json } from '../base/index.ts';
import { migrateDocument, type CallOptions } from './migrate.ts';
import type { Model } from './model.ts';
import { isPlainToken } from './number.ts';
import type { Outcome } from './outcome.ts';
import { ok, refused, type Result } from './result.ts';
import { quickVersion } from './quick-version.ts';
import { scanJson } from './scan.ts';
import { hasRawNumbers, isArray, isObject, rawNumber } from './value.ts';
import type { Version } from './version.ts';
import { writeLike, type Source } from './write-text.ts';

/** What a call on bytes may say beside them. */
export interface TextOptions extends CallOptions {
  /** Refuses a document whose names would change their order, as those that look like an index do. */
  readonly keepOrder?: boolean;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** The bytes of a document at another version; the very same bytes where no step was needed. */
export function migrateText(
  model: Model,
  bytes: Uint8Array,
  target: Version | undefined,
  options: TextOptions = {},
): Outcome<Uint8Array> {
  const to = target ?? model.current;
  const isTried = isWorthATry(model);
  if (isTried && isQuicklyCurrent(model, bytes, to)) return untouched(bytes);
  const parsed = parseDocument(bytes, model.limits, model.name);
  if (parsed.status === 'refused')
    return !isTried && isQuicklyCurrent(model, bytes, to) ? untouched(bytes) : parsed;
  const { document, scan } = parsed.value;
  const outcome = migrateDocument(model, document, target, {
    ...options,
    own: true,
    mayHoldRaw: scan.exactNumbers > 0,
  });
  switch (outcome.status) {
    case 'refused':
    case 'needs_migration':
      return outcome;
    case 'passed':
      return { ...outcome, document: bytes };
    case 'current':
      return {
        ...outcome,
        document: outcome.document === document ? bytes : writeLike(parsed.value, outcome.document),
      };
    case 'migrated':
      if (scan.isReordered && options.keepOrder === true) return refused(reordered(model.name));
      return { ...outcome, document: writeLike(parsed.value, outcome.document) };
  }
}

function untouched(bytes: Uint8Array): Outcome<Uint8Array> {
  return { status: 'current', document: bytes, findings: [] };
}

const MISSES = 32;
const missesByModel = new WeakMap<Model, number>();

/**
 * Where one document after the other is old, only one in so many is tried. What comes out is the same either way: a
 * document that the pass answers for is current by its parse too, and one that the parse refuses is tried after all.
 */
function isWorthATry(model: Model): boolean {
  const misses = missesByModel.get(model) ?? 0;
  if (misses < MISSES || misses % MISSES === 0) return true;
  missesByModel.set(model, misses + 1);
  return false;
}

/** Whether a pass over the bytes shows that there is nothing to do. */
function isQuicklyCurrent(model: Model, bytes: Uint8Array, target: Version): boolean {
  const { quickName } = model.field;
  if (quickName === undefined || model.aliases.length > 0 || bytes.length > model.limits.sizeBytes)
    return false;
  const said = quickVersion(bytes, quickName, model.limits.depth, target);
  // A count of another order than whole numbers is no version.
  const isCount = said?.isText === false && model.rule.order !== 'integer';
  const isCurrent = said?.text === target && !isCount && model.versions.has(target);
  missesByModel.set(model, isCurrent ? 0 : (missesByModel.get(model) ?? 0) + 1);
  return isCurrent;
}

/** The document that stands in these bytes. */
export function parseDocument(bytes: Uint8Array, limits: Model['limits'], subject: string): Result<Source> {
  if (bytes.length > limits.sizeBytes) {
    return refused(unreadable('document_too_large', subject, `more than ${limits.sizeBytes} bytes`));
  }
  const scan = scanJson(bytes, limits.depth);
  if (scan.isTooDeep) {
    return refused(unreadable('document_too_deep', subject, `more than ${limits.depth} levels`));
  }
  if (scan.exactNumbers > 0 && !hasRawNumbers()) {
    return refused(unreadable('number_inexact', subject, 'this platform cannot hold numbers by their text'));
  }
  const text = decode(bytes);
  if (text === undefined) return refused(unreadable('json_invalid', subject, 'not UTF-8'));
  const parsed = parse(text, scan.exactNumbers > 0);
  if (parsed === undefined) return refused(unreadable('json_invalid', subject, 'not JSON'));
  return countMembers(parsed.value) === scan.members
    ? ok({ bytes, text, document: parsed.value, scan })
    : refused(unreadable('duplicate_key', subject, 'an object has two members of one name'));
}

function reordered(subject: string): Finding {
  return unreadable('key_order', subject, 'names that look like an index come first');
}

function unreadable(code: Finding['code'], subject: string, reason: string): Finding {
  return refusal(code, subject, {
    detail: { reason },
    hint: 'Correct the document where it was written: nothing of it can be taken for certain.',
  });
}

/** Undefined where it is no JSON. What the parser says of it would hold a piece of the document. */
function parse(text: string, isExact: boolean): { readonly value: Json } | undefined {
  try {
    return { value: (isExact ? JSON.parse(text, keepToken) : JSON.parse(text)) as Json };
  } catch {
    return undefined;
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function keepToken(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value !== 'number' || source === undefined || isPlainToken(source)
    ? value
    : rawNumber(source);
}

function countMembers(value: Json): number {
  let count = 0;
  if (isArray(value)) {
    for (const item of value) if (typeof item === 'object') count += countMembers(item);
    return count;
  }
  if (!isObject(value)) return 0;
  // A parsed object inherits nothing that would be listed, and this lists it without making an array.
  for (const name in value) {
    const member = value[name] as Json;
    count += 1;
    if (typeof member === 'object') count += countMembers(member);
  }
  return count;
}
