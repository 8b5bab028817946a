/**
 * Versions are opaque texts in a declared order.
 *
 * A document says its version in one field or in several whose parts are joined by a dot. What is there and no
 * well-formed version is refused: only a document that says nothing is taken for the legacy version.
 */
import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import { refused, type Result } from './result.ts';
import { pointerToSegments, valueAt, withValueAt, type Pointer, type Segments } from './pointer.ts';
import { isObject } from './value.ts';

/** The declared shape of a document. */
export type Version = string;

/** How versions follow each other; a list names them all, the oldest first. */
export type VersionOrder = 'semver' | 'integer' | 'date' | readonly Version[];

/** Another way to tell a version: it answers, or undefined. */
export type Detector = (document: JsonObject) => Version | undefined;

/** Where a version stands and how it is compared. */
export interface VersionRule {
  /** Default `/schema_version`. */
  readonly at?: Pointer | readonly Pointer[];
  /** The version of a document that says none. */
  readonly missing: Version;
  readonly order: VersionOrder;
  readonly detectors?: readonly Detector[];
}

/** A version, and whether the document said it. */
export interface Detected {
  readonly version: Version;
  readonly isSaid: boolean;
}

const SEMVER = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/u;

/** Whether a text may be a version under this order. Being known is another question. */
export function isWellFormedVersion(order: VersionOrder, text: string): boolean {
  if (order === 'semver') return SEMVER.test(text);
  if (order === 'integer') return /^(0|[1-9]\d{0,14})$/u.test(text);
  if (order === 'date') return /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/u.test(text);
  return text !== '' && text === text.trim();
}

/** Negative when `left` comes before `right`; 0 also where a list does not name one of them. */
export function compareVersions(order: VersionOrder, left: Version, right: Version): number {
  if (left === right) return 0;
  if (order === 'semver') return compareSemver(left, right);
  if (order === 'integer') return Number(left) - Number(right);
  if (order === 'date') return left < right ? -1 : 1;
  const [at, other] = [order.indexOf(left), order.indexOf(right)];
  return at < 0 || other < 0 ? 0 : at - other;
}

function compareSemver(left: Version, right: Version): number {
  const [a, b] = [SEMVER.exec(left) ?? [], SEMVER.exec(right) ?? []];
  for (const part of [1, 2, 3]) {
    const difference = Number(a[part] ?? 0) - Number(b[part] ?? 0);
    if (difference !== 0) return difference;
  }
  if (a[4] === undefined || b[4] === undefined)
    return Number(a[4] === undefined) - Number(b[4] === undefined);
  return comparePrerelease(a[4].split('.'), b[4].split('.'));
}

function comparePrerelease(left: readonly string[], right: readonly string[]): number {
  for (const [at, part] of left.entries()) {
    const other = right[at];
    if (other === undefined) return 1;
    if (part === other) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/u.test(part), /^\d+$/u.test(other)];
    if (isNumber && isOtherNumber) return Number(part) - Number(other);
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return part < other ? -1 : 1;
  }
  return left.length - right.length;
}

/** The field or fields of a version. */
export function versionPlaces(rule: VersionRule): readonly Pointer[] {
  const at = rule.at ?? '/schema_version';
  return typeof at === 'string' ? [at] : at;
}

/** Reads and writes the version of documents under one rule. */
export interface VersionField {
  detect(document: unknown, subject: string): Result<Detected>;
  /** The document with this version; the type of the field stays what it was. */
  write(document: Json, version: Version): Json | undefined;
  /** The document without its version. */
  erase(document: Json): Json;
  /** Whether a document says a version. */
  isSaid(document: Json): boolean;
  /** The bytes of the one name at the top whose value alone is the version; undefined where there is more to it. */
  readonly quickName: Uint8Array | undefined;
}

/** The version field of a rule, its pointers parsed once. */
export function versionField(rule: VersionRule): VersionField {
  const places = versionPlaces(rule).map(pointerToSegments);
  const isSaid = (document: Json): boolean => places.some((at) => valueAt(document, at) !== undefined);
  const [first, ...others] = places;
  const isOneName = first?.length === 1 && others.length === 0 && rule.detectors === undefined;
  return {
    isSaid,
    quickName: isOneName ? new TextEncoder().encode(first[0]) : undefined,
    detect: (document, subject) => detect(rule, places, document, subject),
    write: (document, version) => writeParts(document, places, version, rule.order === 'integer'),
    erase: (document) => places.reduce<Json>((now, at) => withValueAt(now, at, undefined) ?? now, document),
  };
}

function detect(
  rule: VersionRule,
  places: readonly Segments[],
  document: unknown,
  subject: string,
): Result<Detected> {
  if (!isObject(document)) {
    return refused(
      refusal('document_invalid', subject, {
        detail: { pointer: '', keyword: 'type' },
        hint: 'Give a JSON object: an array or a scalar has no version.',
      }),
    );
  }
  const field = fieldAnswer(rule, places, document, subject);
  if (field.status === 'refused') return field;
  if (rule.detectors === undefined) {
    return {
      status: 'ok',
      value: { version: field.value ?? rule.missing, isSaid: field.value !== undefined },
    };
  }
  const answers = [field.value, ...rule.detectors.map((detector) => detector(document))];
  const bad = answers.findIndex((answer) => answer !== undefined && !isVersion(rule.order, answer));
  if (bad >= 0) return refused(badVersion(subject, `detector ${bad}`));
  const said = [...new Set(answers.filter((answer) => answer !== undefined))];
  if (said.length > 1) {
    return refused(
      refusal('detector_conflict', subject, {
        detail: { answers: said },
        hint: 'Correct the document, or the detector that is wrong about it.',
      }),
    );
  }
  const [version] = said;
  return { status: 'ok', value: { version: version ?? rule.missing, isSaid: version !== undefined } };
}

function isVersion(order: VersionOrder, answer: unknown): answer is Version {
  return typeof answer === 'string' && isWellFormedVersion(order, answer);
}

function fieldAnswer(
  rule: VersionRule,
  places: readonly Segments[],
  document: JsonObject,
  subject: string,
): Result<Version | undefined> {
  const parts = places.map((at) => valueAt(document, at));
  if (parts.every((part) => part === undefined)) return { status: 'ok', value: undefined };
  const texts = parts.map((part) => {
    const isCount = rule.order === 'integer' || places.length > 1;
    return isCount && typeof part === 'number' && Number.isSafeInteger(part) ? String(part) : part;
  });
  if (!texts.every((text) => typeof text === 'string')) return refused(badVersion(subject, 'field'));
  const version = texts.join('.');
  return isWellFormedVersion(rule.order, version)
    ? { status: 'ok', value: version }
    : refused(badVersion(subject, 'field'));
}

function badVersion(subject: string, said: string): Finding {
  return refusal('bad_version', subject, {
    detail: { said },
    hint: 'Write the version as the declared order has it: text such as "1.2.0", without spaces around it.',
  });
}

function writeParts(
  document: Json,
  places: readonly Segments[],
  version: Version,
  isInteger: boolean,
): Json | undefined {
  const [only] = places;
  if (places.length === 1 && only !== undefined) return writePart(document, only, version, isInteger);
  const texts = version.split('.');
  let written: Json | undefined = document;
  for (const [at, place] of places.entries()) {
    const isLast = at === places.length - 1;
    const text = isLast ? texts.slice(at).join('.') : (texts[at] ?? '0');
    written = writePart(written, place, text, isInteger);
    if (written === undefined) return undefined;
  }
  return written;
}

function writePart(document: Json, place: Segments, text: string, isInteger: boolean): Json | undefined {
  const old = valueAt(document, place);
  const isNumber = typeof old === 'number' || (isInteger && old === undefined);
  return withValueAt(document, place, isNumber ? Number(text) : text);
}
