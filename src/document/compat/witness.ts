/**
 * Documents that show what readers and writers do to each other: made from the writer's schema, judged by both.
 */
import type { Json, JsonObject } from '../../base/index.ts';
import { generateDocument, seededRandom } from '../generate.ts';
import { migrateDocument } from '../migrate.ts';
import type { Model } from '../model.ts';
import type { FieldMove } from '../op/op-schema.ts';
import { pointerToSegments, segmentsToPointer, valueAt, type Pointer } from '../pointer.ts';
import { propertiesOf, followRef } from '../schema-part.ts';
import type { JsonSchema } from '../schema.ts';
import type { Validate } from '../validate.ts';
import { equalJson, isArray, isObject, withMember } from '../value.ts';
import type { Version } from '../version.ts';
import { schemaDifferences } from './change.ts';

/** A document that settles a question, and how. */
export type Witness = {
  readonly reason: 'rejected' | 'moved' | 'value changed';
  /** The version whose writers write it. */
  readonly document: Json;
  readonly pointer: Pointer;
};

/** One direction of a comparison. */
export interface Direction {
  readonly writer: Version;
  readonly reader: Version;
  /** Without their version fields, which no reader holds against a writer. */
  readonly writerSchema: JsonSchema;
  readonly readerSchema: JsonSchema;
  readonly writes: Validate;
  readonly reads: Validate;
  readonly moves: readonly FieldMove[];
  readonly isStrict: boolean;
}

const SEEDS = 240;
/** Tries for each place where the schemas differ, and places that are tried. */
const [SEEDS_TOWARDS, PLACES] = [6, 400] as const;

/** Documents of the writer: full ones first, then bare ones, then any; each fits the writer's schema. */
export function* writtenDocuments({ writerSchema, writes, isStrict }: Direction): Generator<Json> {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const optional = [1, 0, 0.5][seed % 3] ?? 0.5;
    const document = generateDocument(writerSchema, seededRandom(seed), { optional });
    if (writes(document).isValid) yield document;
    if (isStrict && seed < 3 && isObject(document)) {
      const extended = withMember(document, 'unnamed_field', seed);
      if (writes(extended).isValid) yield extended;
    }
  }
}

/**
 * Small documents that have a field where the schemas differ, the outermost first: in a large schema hardly any document
 * that is made at random is valid and has one.
 */
function* differingDocuments({ writerSchema, readerSchema, writes, isStrict }: Direction): Generator<Json> {
  const context = { writer: writerSchema, reader: readerSchema, isStrict };
  const places = schemaDifferences(context)
    .map(({ pointer }) => pointer)
    .toSorted((left, right) => left.split('/').length - right.split('/').length);
  for (const towards of places.slice(0, PLACES)) {
    for (let seed = 0; seed < SEEDS_TOWARDS; seed += 1) {
      const optional = seed < SEEDS_TOWARDS / 2 ? 0 : 0.2;
      const document = generateDocument(writerSchema, seededRandom(seed), { optional, towards });
      if (writes(document).isValid) yield document;
    }
  }
}

/** A document that this reader does not take for what its writer meant; undefined where none was found. */
export function findWitness(model: Model, direction: Direction): Witness | undefined {
  for (const document of writtenDocuments(direction)) {
    const found =
      rejected(direction, document) ?? moved(direction, document) ?? changed(model, direction, document);
    if (found !== undefined) return found;
  }
  for (const document of differingDocuments(direction)) {
    const found = rejected(direction, document);
    if (found !== undefined) return found;
  }
  return undefined;
}

function rejected({ reads }: Direction, document: Json): Witness | undefined {
  const verdict = reads(document);
  if (verdict.isValid) return undefined;
  return { reason: 'rejected', document, pointer: verdict.faults[0]?.pointer ?? '' };
}

function moved({ moves }: Direction, document: Json): Witness | undefined {
  for (const { from } of moves) {
    const pointer = firstAt(document, pointerToSegments(from), []);
    if (pointer !== undefined) return { reason: 'moved', document, pointer };
  }
  return undefined;
}

/** The first place in the document that a pointer with `*` for any element leads to. */
function firstAt(value: Json, segments: readonly string[], at: readonly string[]): Pointer | undefined {
  const [name, ...rest] = segments;
  if (name === undefined) return segmentsToPointer(at);
  if (name !== '*') {
    const child = valueAt(value, [name]);
    return child === undefined ? undefined : firstAt(child, rest, [...at, name]);
  }
  const names = isArray(value) ? [...value.keys()].map(String) : isObject(value) ? Object.keys(value) : [];
  for (const child of names) {
    const found = firstAt(valueAt(value, [child]) as Json, rest, [...at, child]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A field that both schemas name in the same place, whose value the steps change: the reader would misread it. */
function changed(model: Model, direction: Direction, document: Json): Witness | undefined {
  const after = movedTo(model, direction, document);
  if (after === undefined) return undefined;
  for (const name of sharedNames(direction)) {
    const [old, now] = [valueAt(document, [name]), valueAt(after, [name])];
    if (old === undefined || now === undefined || typeof old === 'object') continue;
    if (!equalJson(old, now))
      return { reason: 'value changed', document, pointer: segmentsToPointer([name]) };
  }
  return undefined;
}

function sharedNames({ writerSchema, readerSchema }: Direction): readonly string[] {
  const names = Object.keys(propertiesOf(followRef(readerSchema, readerSchema)));
  return names.filter((name) => Object.hasOwn(propertiesOf(followRef(writerSchema, writerSchema)), name));
}

function movedTo(model: Model, { writer, reader }: Direction, document: Json): JsonObject | undefined {
  const versioned = model.field.write(document, writer);
  if (versioned === undefined) return undefined;
  const outcome = migrateDocument(model, versioned, reader, {
    allowLossy: true,
    now: '1970-01-01T00:00:00.000Z',
  });
  return outcome.status === 'migrated' && isObject(outcome.document) ? outcome.document : undefined;
}
