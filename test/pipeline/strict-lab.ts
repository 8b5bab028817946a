import { readFile } from 'node:fs/promises';
import { pipeline, type Pipeline } from '../../src/pipeline/pipeline.ts';
import type { TableSpec } from '../../src/pipeline/spec.ts';
import type { AnyTable } from '../../src/pipeline/table.ts';
import { t } from '../../src/pipeline/column.ts';
import type { StrictReadsOptions } from '../../src/pipeline/strict/open-strict-reads.ts';
import { sql, type Store } from '../../src/store/index.ts';

/** A small laboratory in a schema of its own: mice, their sessions, rules for all, and a table no grade declares. */
export interface Lab {
  readonly schema: string;
  readonly lab: Pipeline;
  /** Options of the grade, computed for each session; `strict` as asked for. */
  readonly options: StrictReadsOptions;
}

/** Makes varve's own catalog in a fresh database. */
export async function installCatalog(store: Store): Promise<void> {
  await store.script('create schema varve');
  for (const file of ['0001_catalog.sql', '0002_strict.sql', '0004_jobs.sql']) {
    await store.script(await readFile(new URL(`../../sql/${file}`, import.meta.url), 'utf8'));
  }
}

/** Defines and fills the laboratory. */
export async function createLab(
  store: Store,
  schema: string,
  strict: 'enforce' | 'observe' = 'enforce',
): Promise<Lab> {
  const lab = pipeline(schema);
  const Mouse = lab.manual('mouse', {
    key: { mouse: t.integer() },
    columns: { name: t.text(), weight: t.double(), strain: t.integer() },
  });
  const Strain = lab.manual('strain', { key: { strain: t.integer() }, columns: { label: t.text() } });
  const Session = lab.manual('session', {
    parents: [Mouse],
    key: { session: t.text() },
    columns: { score: t.double(), note: t.text().nullable() },
  });
  lab.manual('policy', { key: { id: t.integer() }, columns: { since: t.timestamptz(), bound: t.double() } });
  lab.manual('audit_log', { key: { a: t.bigint(), b: t.bytea() }, columns: { text: t.text() } });
  const Rule = lab.manual('rule', { key: { rule: t.integer() }, columns: { bound: t.double() } });
  const Grade = lab.computed('grade', {
    parents: [Session],
    references: { strain: Strain.from({ strain: Mouse.column('strain') }) },
    columns: { grade: t.text() },
    reads: {
      session: Session.columns('score'),
      mouse: Mouse,
      allSessions: Session.matching({ mouse: 'mouse' }),
      strain: Strain.matching({ strain: Mouse.column('strain') }),
      rule: Rule.all(),
    },
    strict,
    makeWith: () => ({ grade: '' }),
  });
  for (const table of lab.tables) await store.script(createTable(table.spec));
  await store.script(contents(schema));
  return { schema, lab, options: optionsOf(lab.tables, Grade.spec) };
}

/** Options over the tables of one pipeline, each at its own name. */
export function optionsOf(tables: readonly AnyTable[], spec: TableSpec): StrictReadsOptions {
  return {
    spec,
    specByName: new Map(tables.map((table) => [table.spec.name, table.spec])),
    placementByTable: new Map(),
  };
}

/** The plain table of a definition. */
export function createTable(spec: TableSpec, placed: readonly [string, string] = nameOf(spec)): string {
  const columns = spec.columns.map(
    ({ name, type, nullable }) => `${quote(name)} ${type}${nullable ? '' : ' not null'}`,
  );
  const key = spec.primaryKey.map(quote).join(', ');
  return `create table ${placed.map(quote).join('.')} (${columns.join(', ')}, primary key (${key}))`;
}

function nameOf(spec: TableSpec): readonly [string, string] {
  const dot = spec.name.indexOf('.');
  return [spec.name.slice(0, dot), spec.name.slice(dot + 1)];
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function contents(schema: string): string {
  return `
    insert into ${schema}.strain values (1, 'black'), (2, 'agouti');
    insert into ${schema}.mouse values (1, 'Ada', 20, 1), (2, 'Bob', 30, 2);
    insert into ${schema}.session values (1, 'a', 0.5, 'x'), (1, 'b', 0.7, null), (2, 'a', 0.9, 'y');
    insert into ${schema}.rule values (1, 0.6), (2, 0.8);
    insert into ${schema}.policy values (1, '2024-01-01', 10), (2, '2025-01-01', 20), (3, '2026-01-01', 30);
    insert into ${schema}.audit_log values (9007199254740993, '\\x01ff', 'first'), (2, '\\x00', 'second');
    create view ${schema}.policy_view as select * from ${schema}.policy where bound > 5;
    create view ${schema}.view_on_view as select bound from ${schema}.policy_view;`;
}

/** How many rows a table has, past every limit; for tests of what a role cannot. */
export async function countRows(store: Store, schema: string, table: string): Promise<number> {
  const [row] = await store.query<{ n: number }>(
    sql`select count(*)::int as n from ${sql.id(schema, table)}`,
  );
  return row?.n ?? 0;
}
