/**
 * What lies between two definition sets, as operations. A change that no operation of this release carries out is a
 * refusal that names it; nothing is guessed and nothing is left out.
 */
import { refusal, type Finding } from '../base/index.ts';
import {
  sameJson,
  type DefinitionSet,
  type ForeignKeySpec,
  type ReadSpec,
  type TableSpec,
} from '../pipeline/index.ts';
import type { Operation } from './operation/operation.ts';

/** The operations in the order in which they are carried out, or why there are none. */
export interface FoundOperations {
  readonly operations: readonly Operation[];
  readonly findings: readonly Finding[];
}

/** Compares two sets; `from` is undefined where nothing is deployed yet. */
export function findOperations(from: DefinitionSet | undefined, to: DefinitionSet): FoundOperations {
  const before = new Map((from?.tables ?? []).map((spec) => [spec.name, spec]));
  const after = new Set(to.tables.map(({ name }) => name));
  const removed = [...before.keys()]
    .filter((name) => !after.has(name))
    .map((name) => unavailable(name, ['removed']));
  const found = to.tables.map((spec): FoundOperations => {
    const old = before.get(spec.name);
    if (old === undefined) return one({ kind: 'create_table', table: spec.name });
    return changed(old, spec);
  });
  return {
    operations: found.flatMap(({ operations }) => operations),
    findings: [...removed, ...found.flatMap(({ findings }) => findings)],
  };
}

function one(operation: Operation): FoundOperations {
  return { operations: [operation], findings: [] };
}

const NOTHING: FoundOperations = { operations: [], findings: [] };

/** Members that say something about the same rows: no row changes when they do. */
const SAYING: readonly (keyof TableSpec)[] = ['comment', 'strict', 'derives'];

function changed(old: TableSpec, spec: TableSpec): FoundOperations {
  const members = [...new Set([...Object.keys(old), ...Object.keys(spec)])] as (keyof TableSpec)[];
  const differing = members.filter((member) => !sameJson(old[member], spec[member]));
  if (differing.length === 0) return NOTHING;
  const key = declaredReference(old, spec);
  if (key !== undefined) {
    const rest = differing.filter((member) => ![...REFERENCE, ...SAYING].includes(member));
    if (rest.length > 0) return { operations: [], findings: [unavailable(spec.name, rest)] };
    return one({
      kind: 'declare_reference',
      table: spec.name,
      reference: key.name,
      to: key.to,
      columns: key.columns,
    });
  }
  const rest = differing.filter(
    (member) => !SAYING.includes(member) && !(member === 'reads' && widened(old.reads, spec.reads)),
  );
  if (rest.length === 1 && rest[0] === 'contents') return one({ kind: 'sync_contents', table: spec.name });
  return rest.length === 0
    ? one({ kind: 'redefine', table: spec.name })
    : { operations: [], findings: [unavailable(spec.name, rest)] };
}

/** Members that may differ when a read is declared as a secondary foreign key: the make is another form of itself. */
const REFERENCE: readonly (keyof TableSpec)[] = ['columns', 'foreignKeys', 'reads', 'form', 'query'];

/** The one secondary foreign key that is new, where nothing but it and its columns came. */
function declaredReference(old: TableSpec, spec: TableSpec): ForeignKeySpec | undefined {
  if (spec.form === undefined || old.form === undefined) return undefined;
  const added = spec.foreignKeys.filter((key) => !old.foreignKeys.some((known) => sameJson(known, key)));
  const [key, another] = added;
  if (key === undefined || another !== undefined || key.kind !== 'secondary') return undefined;
  if (spec.foreignKeys.length !== old.foreignKeys.length + 1) return undefined;
  const own = new Set(Object.keys(key.columns));
  const kept = spec.columns.filter(({ name }) => !own.has(name));
  const known = new Set(old.columns.map(({ name }) => name));
  const onlyNew = [...own].every((name) => !known.has(name));
  return onlyNew && sameJson(kept, old.columns) ? key : undefined;
}

/** Whether reads differ only by columns that tables above got. */
function widened(old: readonly ReadSpec[], now: readonly ReadSpec[]): boolean {
  return (
    old.length === now.length &&
    old.every((read, index) => {
      const other = now[index];
      return (
        other !== undefined &&
        read.columns.every((column) => other.columns.includes(column)) &&
        sameJson({ ...read, columns: [] }, { ...other, columns: [] })
      );
    })
  );
}

function unavailable(table: string, members: readonly string[]): Finding {
  return refusal('operation_unavailable', table, {
    detail: { changed: members },
    hint: 'Take this change back: no operation of this release carries it out. Tables can be created, and a read can be declared as a secondary foreign key.',
  });
}
