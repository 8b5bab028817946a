/**
 * What the project lists as required (M130): constraints that are there and validated, geometry columns with their reference
 * system and a valid spatial index. A run is held to it on the tables that it touched: what others left undone is not its fault.
 *
 * A way back may lead to a state before the project listed it, so there it is told and does not refuse.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Check } from '../../../evidence/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import type { Direction } from '../../kind.ts';
import type { MigrationSettings } from '../../settings.ts';

/** Checks what is required of these tables, by the catalog alone. */
export async function checkRequired(
  transaction: Transaction,
  { required = {} }: MigrationSettings,
  about: { readonly tables: readonly string[]; readonly direction: Direction },
): Promise<{ readonly checks: readonly Check[]; readonly findings: readonly Finding[] }> {
  const isTouched = ({ table }: Named): boolean => about.tables.includes(table);
  const constraints = (required.constraints ?? []).map(nameOf).filter(isTouched);
  const geometries = (required.geometries ?? [])
    .map(({ column, srid }) => ({ ...nameOf(column), srid }))
    .filter(isTouched);
  if (constraints.length + geometries.length === 0) return { checks: [], findings: [] };
  const findings: Finding[] = [];
  for (const each of constraints) findings.push(...(await constraintFindings(transaction, each)));
  for (const each of geometries) findings.push(...(await geometryFindings(transaction, each)));
  if (about.direction !== 'forward')
    return { checks: [], findings: findings.map((finding) => ({ ...finding, severity: 'warning' })) };
  const status = findings.length === 0 ? 'pass' : 'fail';
  return { checks: [{ name: 'required', status }], findings };
}

/** A constraint or column of a table, from `schema.table.name`. */
interface Named {
  readonly full: string;
  readonly table: string;
  readonly schema: string;
  readonly relation: string;
  readonly name: string;
}

function nameOf(full: string): Named {
  const [schema = '', relation = '', name = ''] = full.split('.');
  return { full, table: `${schema}.${relation}`, schema, relation, name };
}

async function constraintFindings(transaction: Transaction, each: Named): Promise<readonly Finding[]> {
  const [found] = await transaction.query<{ validated: boolean }>(sql`
    select k.convalidated and coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) as validated from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${each.schema} and c.relname = ${each.relation} and k.conname = ${each.name}`);
  if (found === undefined) return [fault(each, 'constraint_missing')];
  return found.validated ? [] : [fault(each, 'constraint_not_validated')];
}

interface Geometry extends Record<string, unknown> {
  readonly type: string;
  readonly isIndexed: boolean;
}

/** An index serves a column that leads it, for all rows. */
async function geometryFindings(
  transaction: Transaction,
  each: Named & { readonly srid: number },
): Promise<readonly Finding[]> {
  const [found] = await transaction.query<Geometry>(sql`
    select pg_catalog.format_type(a.atttypid, a.atttypmod) as type, exists (select from pg_catalog.pg_index i
      join pg_catalog.pg_class x on x.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = x.relam
      where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid and i.indisready and i.indpred is null
        and m.amname in ('gist', 'spgist', 'brin')) as "isIndexed"
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${each.schema} and c.relname = ${each.relation} and a.attname = ${each.name}
      and a.attnum > 0 and not a.attisdropped`);
  const shape = /\b(?:geometry|geography)\b(?:\(\w+,(?<srid>\d+)\))?$/u.exec(found?.type ?? '');
  if (found === undefined || shape === null) return [fault(each, 'geometry_missing')];
  const srid = Number(shape.groups?.['srid'] ?? 0);
  return [
    ...(srid === each.srid ? [] : [fault(each, 'srid_differs', { required: each.srid, found: srid })]),
    ...(found.isIndexed ? [] : [fault(each, 'spatial_index_missing')]),
  ];
}

const HINTS = {
  constraint_missing: 'Make the constraint, or take it out of migrations.required in varve.config.ts.',
  constraint_not_validated: 'Validate it: alter table ... validate constraint ....',
  geometry_missing: 'Make the column, or take it out of migrations.required in varve.config.ts.',
  srid_differs: 'Give the column the reference system that the project requires.',
  spatial_index_missing:
    'Make an index that begins with the column: create index ... using gist (...); an invalid one does not count.',
} as const;

function fault(
  { full }: Named,
  reason: keyof typeof HINTS,
  more: Readonly<Record<string, number>> = {},
): Finding {
  return refusal('requirement_broken', full, { detail: { reason, ...more }, hint: HINTS[reason] });
}
