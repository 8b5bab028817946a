/**
 * What somebody changed by hand since the last receipt (M72): the catalog that a run of this kind left is compared with the present one,
 * for the schemas that a bundle may touch and for what is protected. The first run adopts what it finds, and so does a run that was
 * approved in spite of it, for its own baseline has it.
 *
 * Objects are named where the last receipt of such a schema listed them; else the kind of object is. Tables that a migration of
 * another kind touched since are its work, and no drift.
 */
import type { Finding, JsonObject } from '../../../base/index.ts';
import { diffObjects, type Baseline, type BaselineClass } from '../../../evidence/index.ts';
import { CATALOG_ALGORITHM, type Fingerprint, type Survey } from '../../../provenance/index.ts';
import { sql, type Transaction } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import type { EnvironmentName } from '../../settings.ts';
import { isProtected, type Protection } from './protected.ts';

/** What differs from the last receipt. */
export interface Drift {
  /** In scope or protected: `kind schema.table.name`, sorted. */
  readonly within: readonly string[];
  /** Elsewhere: `kind schema`, sorted. */
  readonly elsewhere: readonly string[];
  /** The run whose receipt it is. */
  readonly run: string | undefined;
}

const NO_DRIFT: Drift = { within: [], elsewhere: [], run: undefined };

/** Compares the whole catalog as it is now, with the objects in scope and what is protected listed, with what the last run left. */
export async function readDrift(
  transaction: Transaction,
  about: { readonly scope: Scope; readonly protection: Protection; readonly now: Survey },
): Promise<Drift> {
  const last = await lastReceipt(transaction);
  const { scope, protection, now } = about;
  if (last === undefined || last.post.server_version !== String(now.whole.major)) return NO_DRIFT;
  const changed = changedClasses(last.post.classes ?? [], now.whole);
  const isMine = (schema: string): boolean =>
    scope.allowed_schemas.includes(schema) || protection.schemas.includes(schema);
  const mine = [...new Set(changed.map(({ schema }) => schema))].filter(isMine);
  const [listed, unlisted] = [
    mine.filter((schema) => last.listed(schema)),
    mine.filter((schema) => !last.listed(schema)),
  ];
  const differing = diffObjects(
    (last.post.objects ?? []).filter(({ schema }) => listed.includes(schema)),
    now.objects.filter(({ schema }) => listed.includes(schema)),
  ).filter(
    ({ schema, table, properties, change }) =>
      !(change === 'changed' && properties.length === 1 && properties[0] === 'position') &&
      !last.touchedSince.has(`${schema}.${table ?? ''}`),
  );
  const guarded = guardedDrift(last, { protection, schemas: mine, changed, objects: now.objects });
  return {
    within: [
      ...differing.map(({ kind, schema, table, name }) => wordsOf({ kind, schema, table, name })),
      ...(last.touchedSince.size > 0
        ? []
        : changed.filter(({ schema }) => unlisted.includes(schema)).map(classWords)),
      ...guarded,
    ].toSorted(),
    elsewhere: changed
      .filter(({ schema }) => !isMine(schema))
      .map(classWords)
      .toSorted(),
    run: last.run,
  };
}

/** In dev, where people change databases by hand, it is told; elsewhere a signature has to adopt it. */
export function driftFindings(id: string, { within, run }: Drift, environment: string): readonly Finding[] {
  if (within.length === 0) return [];
  const isDev = environment === ('dev' satisfies EnvironmentName);
  return [
    {
      code: 'catalog_drifted',
      severity: isDev ? 'warning' : 'review',
      subject: id,
      detail: { run: run ?? null, differing: within.slice(0, MOST_NAMES), count: within.length },
      hint: 'Somebody changed these since the last receipt. Take that back, or write it as a migration; a signature that names this finding adopts it.',
    },
  ];
}

const MOST_NAMES = 20;

interface LastReceipt {
  readonly run: string;
  readonly post: Baseline;
  /** Whether it listed the objects of a schema one by one. */
  readonly listed: (schema: string) => boolean;
  /** Tables that later runs of other kinds touched. */
  readonly touchedSince: ReadonlySet<string>;
}

async function lastReceipt(transaction: Transaction): Promise<LastReceipt | undefined> {
  const [there] = await transaction.query<{ there: boolean }>(
    sql`select to_regclass('varve.ledger') is not null as there`,
  );
  if (there?.there !== true) return undefined;
  const [row] = await transaction.query<{
    run: string;
    seq: bigint;
    post: JsonObject;
    summary: JsonObject;
  }>(sql`
    select run_id as run, seq, body -> 'products' -> 'baselines/post.json' as post, body -> 'products' -> 'diffs/summary.json' as summary
    from varve.ledger where phase = 'committed' and body -> 'products' -> 'baselines/post.json' ->> 'algorithm' = ${CATALOG_ALGORITHM}
    order by seq desc limit 1`);
  if (row === undefined) return undefined;
  const later = await transaction.query<{ table: string }>(sql`
    select distinct o as "table" from varve.ledger, jsonb_array_elements_text(body -> 'objects') o
    where phase = 'committed' and seq > ${row.seq}`);
  const { scope } = row.summary['declared'] as { readonly scope: Scope };
  return {
    run: row.run,
    post: row.post as unknown as Baseline,
    listed: (schema) => scope.allowed_schemas.includes(schema),
    touchedSince: new Set(later.map(({ table }) => table)),
  };
}

/** Classes of which the digest is another one; a schema that was not there before is nobody's to compare. */
function changedClasses(
  before: readonly BaselineClass[],
  now: Fingerprint,
): readonly Pick<BaselineClass, 'kind' | 'schema'>[] {
  const known = new Set(before.map(({ schema }) => schema));
  const keyed = new Map<string, BaselineClass>(before.map((of) => [`${of.kind} ${of.schema}`, of]));
  const found = new Map<string, Pick<BaselineClass, 'kind' | 'schema'> & { readonly digest: string }>(
    now.schemas.flatMap(({ schema, kinds }) =>
      kinds.map(({ kind, digest }) => [`${kind} ${schema}`, { kind, schema, digest }] as const),
    ),
  );
  return [...new Set([...keyed.keys(), ...found.keys()])].flatMap((key) => {
    const [old, is] = [keyed.get(key), found.get(key)];
    const of = is ?? old;
    return of === undefined || !known.has(of.schema) || old?.logical === is?.digest ? [] : [of];
  });
}

/** Protected tables in schemas that are not in scope, where the last receipt listed them. */
function guardedDrift(
  last: LastReceipt,
  about: {
    readonly protection: Protection;
    readonly schemas: readonly string[];
    readonly changed: readonly Pick<BaselineClass, 'kind' | 'schema'>[];
    readonly objects: Survey['objects'];
  },
): readonly string[] {
  const { protection, schemas, changed, objects } = about;
  const moved = new Set(changed.map(({ schema }) => schema));
  const before = (last.post.objects ?? []).filter(
    ({ schema, table }) =>
      table !== null &&
      moved.has(schema) &&
      !schemas.includes(schema) &&
      isProtected(protection, `${schema}.${table}`),
  );
  const tables = new Set(before.map(({ schema, table }) => `${schema}.${table ?? ''}`));
  const now = objects.filter(({ schema, table }) => tables.has(`${schema}.${table ?? ''}`));
  return diffObjects(before, now).map(wordsOf);
}

function wordsOf({
  kind,
  schema,
  table,
  name,
}: {
  readonly kind: string;
  readonly schema: string;
  readonly table: string | null;
  readonly name: string | null;
}): string {
  const of = table === null || table === name ? '' : `${table}.`;
  return `${kind} ${schema}.${of}${name ?? ''}`;
}

function classWords({ kind, schema }: Pick<BaselineClass, 'kind' | 'schema'>): string {
  return schema === '' ? kind : `${kind} ${schema}`;
}
