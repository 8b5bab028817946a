/** The graph, and the code, as they were at a time or at the end of a run. */
import { refusal, type Finding } from '../base/index.ts';
import type { TableGraph } from '../provenance/index.ts';
import { sql, type Queryable, type Row, type Store } from '../store/index.ts';
import { digestOfSet, type DefinitionSet } from './definition-set.ts';
import { graphOf } from './graph.ts';
import { readMoment } from './history.ts';
import { loadGenerations, type Generation } from './relation.ts';
import { unknownTable } from './unknown-table.ts';
import type { Moment } from './versions.ts';

/** What was deployed at a moment. */
export interface PastGraph {
  /** What was asked for: a run, or the instant. */
  readonly asOf: string;
  readonly moment: Moment;
  readonly definitionDigest: string;
  /** The run that deployed it; when, ISO 8601 UTC. */
  readonly deployedBy: string;
  readonly deployedAt: string;
  readonly set: DefinitionSet;
  /** Tables under the names of then, with an edge for each foreign key, part and declared read. */
  readonly graph: TableGraph;
}

/** Either that, or why it cannot be said. */
export type PastGraphResult =
  | { readonly status: 'ok'; readonly past: PastGraph }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The graph as of a time or a run, or that of now: for a run that computed, the definitions that it worked with.
 *
 * Errors: refuses with `unknown_run`, and with `not_deployed` where nothing was deployed yet.
 */
export async function graphAsOf(store: Store, asOf: string | undefined): Promise<PastGraphResult> {
  const moment = asOf === undefined ? PRESENT : await readMoment(store, asOf);
  if ('severity' in moment) return { status: 'refused', findings: [moment] };
  const found = await deploymentAt(store, moment);
  if (found === undefined) {
    const hint = 'Ask about a later time: `varve status` shows when each migration was applied.';
    return {
      status: 'refused',
      findings: [
        refusal('not_deployed', asOf ?? store.location, {
          detail: { found: 'nothing was deployed then' },
          hint,
        }),
      ],
    };
  }
  const { body: set, ...deployed } = found;
  const past = {
    asOf: moment.run ?? moment.at,
    moment,
    definitionDigest: digestOfSet(set),
    ...deployed,
    set,
    graph: graphOf({ set }),
  };
  return { status: 'ok', past };
}

const PRESENT: Moment = { at: 'infinity', run: null };

interface DeploymentRow extends Record<string, unknown> {
  readonly deployedBy: string;
  readonly deployedAt: string;
  readonly body: DefinitionSet;
}

/** What a run itself deployed, or what it says that it worked with, goes before what the clock says. */
async function deploymentAt(store: Queryable, { at, run }: Moment): Promise<DeploymentRow | undefined> {
  const [row] = await store.query<DeploymentRow>(sql`
    select d.run as "deployedBy", d.deployed_at as "deployedAt", s.body
    from varve.deployment d join varve.definition_set s on s.id = d.definition_set
    left join varve.run r on r.name = ${run}
    where d.run = ${run} or d.deployed_at <= ${at}::timestamptz
    order by d.run = ${run} desc nulls last, s.digest = r.definition_digest desc nulls last, d.id desc limit 1`);
  return row;
}

/** The code that computed rows of a table. */
export interface TableCode {
  readonly table: string;
  readonly digest: string;
  /** How much of the code the digest covers, as in `why`. */
  readonly basis: string;
  readonly packages: Readonly<Record<string, string>>;
  /** The last run that computed with it, and when that began, ISO 8601 UTC. */
  readonly run: string;
  readonly startedAt: string;
  /** Keys that stand as this code computed them. */
  readonly rows: number;
  /** The text that the digest is of; only where it was asked for. */
  readonly source?: string;
}

/** Which code. */
export interface CodeOptions {
  /** Only that of this table, by its name then. */
  readonly table?: string;
  /** An instant (ISO 8601), or the name of a run: its end. Default: now. */
  readonly asOf?: string;
  readonly source?: boolean;
}

/** The code of each table, or why it cannot be said. */
export type CodeResult =
  | { readonly status: 'ok'; readonly asOf: string; readonly code: readonly TableCode[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * The code that the rows of each table were last computed with, as of a time or a run; what was never computed has none.
 *
 * Errors: refuses with those of `graphAsOf`, and `unknown_table`.
 */
export async function codeAsOf(store: Store, options: CodeOptions = {}): Promise<CodeResult> {
  const result = await graphAsOf(store, options.asOf);
  if (result.status === 'refused') return result;
  const { set, moment, asOf } = result.past;
  const names = set.tables.map(({ name }) => name);
  const { table } = options;
  if (table !== undefined && !names.includes(table)) {
    return { status: 'refused', findings: [unknownTable(table, names)] };
  }
  const code: TableCode[] = [];
  for (const { name, form } of set.tables) {
    if (form === undefined || (table !== undefined && name !== table)) continue;
    const found = await lastCode(store, name, moment, options.source === true);
    if (found !== undefined) code.push(found);
  }
  return { status: 'ok', asOf, code };
}

async function lastCode(
  store: Queryable,
  table: string,
  moment: Moment,
  withSource: boolean,
): Promise<TableCode | undefined> {
  const generations = await loadGenerations(store, table, moment.at);
  const ids = generations.filter((each) => hasBegun(each, moment)).map(({ id }) => id);
  const [row] = await store.query<CodeRow>(sql`
    select d.digest, d.basis, d.packages, r.name as run, r.started_at as "startedAt",
      case when ${withSource} then d.source end as source,
      (select count(*) from varve.computation c join varve.computation_spec o on o.id = c.spec
        where c.relation = s.relation and o.code = d.id) as rows
    from varve.computation_spec s join varve.code d on d.id = s.code join varve.run r on r.id = s.run
    where s.relation = any(${ids}::integer[]) and (r.started_at <= ${moment.at}::timestamptz or r.name = ${moment.run})
    order by s.relation desc, r.started_at desc, s.id desc limit 1`);
  if (row === undefined) return undefined;
  const { source, rows, ...rest } = row;
  return { table, ...rest, rows: Number(rows), ...(source === null ? {} : { source }) };
}

type CodeRow = Omit<TableCode, 'table' | 'source' | 'rows'> &
  Row & { readonly source: string | null; readonly rows: bigint };

function hasBegun({ sinceAt }: Generation, { at }: Moment): boolean {
  return sinceAt === null || at === 'infinity' || Date.parse(sinceAt) <= Date.parse(at);
}
