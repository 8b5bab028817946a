/**
 * An operation: one structural change of one table, as data in a bundle, with the verbs that carry it out.
 *
 * | verb | when | writes |
 * |---|---|---|
 * | `plan` | before anything; again at the start of a run | nothing |
 * | `expand`, `attribute`, `recompute`, `constrain`, `check` | beside what readers see, in this order, resumable | the new structure only |
 * | `cutOver` | inside the deciding transaction | names, relations |
 * | `observe` | after it, before the commit | nothing |
 * | `rollBack` | inside the deciding transaction of the way back | names, relations, rows written since |
 * | `undo` | for a run that will not be decided | takes the new structure away |
 *
 * A verb that an operation has no use for is absent.
 */
import type { Finding, JsonObject } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import type { NewWrites, RunContext } from '../../migration/index.ts';
import type {
  CodeIdentity,
  Definitions,
  DefinitionSet,
  MakeRunner,
  Relations,
} from '../../pipeline/index.ts';
import type { RunEnvironment } from '../../run/index.ts';
import type { ObjectStore, Queryable, Transaction } from '../../store/index.ts';

/** A table that is defined and not there yet. */
export interface CreateTable {
  readonly kind: 'create_table';
  readonly table: string;
}

/** A read that becomes a secondary foreign key. */
export interface DeclareReference {
  readonly kind: 'declare_reference';
  readonly table: string;
  /** Its name in the definition. */
  readonly reference: string;
  readonly to: string;
  /** Child column to parent column. */
  readonly columns: Readonly<Record<string, string>>;
}

/** A definition that says something else about the same rows: a comment, how strictly it reads, columns added above. */
export interface Redefine {
  readonly kind: 'redefine';
  readonly table: string;
}

/** A lookup whose rows in the code are others now. */
export interface SyncContents {
  readonly kind: 'sync_contents';
  readonly table: string;
}

/** Every operation there is. */
export type Operation = CreateTable | DeclareReference | Redefine | SyncContents;

/** What an evolution knows beside the database: the definitions as edited, and who runs it. */
export interface EvolutionWorld {
  readonly definitions: Definitions;
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  readonly environment: RunEnvironment;
  readonly projectFolder: string;
  /** Where makes put objects and read them; undefined where the project has none. */
  readonly objects?: ObjectStore | undefined;
  /** Where makes run; undefined: in this thread, which refuses tables with `isolate: true`. */
  readonly runner?: MakeRunner | undefined;
}

/** The two sets that an operation lies between. */
export interface Sets {
  readonly from: DefinitionSet;
  readonly to: DefinitionSet;
}

/** What a verb that only looks may use. */
export interface PlanScope extends Sets {
  readonly transaction: Queryable;
  readonly relations: Relations;
  readonly attribution: Attribution;
}

/** What to do with the ambiguous rows of a table, by table name, as the bundle says it. */
export type Attribution = Readonly<Record<string, 'recompute'>>;

/** What an operation would do to the rows. */
export interface OperationPlan {
  readonly tables: readonly TableCounts[];
  readonly findings: readonly Finding[];
  /** What apply is held to, beside the counts. */
  readonly bound: JsonObject;
}

/** What a verb of a run may use. */
export interface RunScope extends Sets {
  readonly context: RunContext;
  readonly world: EvolutionWorld;
  readonly attribution: Attribution;
}

/** The verbs of one kind of operation. */
export interface OperationVerbs<O> {
  readonly kind: string;
  /** In words, for people. */
  readonly describe: (operation: O) => string;
  readonly plan: (operation: O, scope: PlanScope) => Promise<OperationPlan>;
  readonly expand?: (operation: O, scope: RunScope) => Promise<void>;
  readonly attribute?: (operation: O, scope: RunScope) => Promise<void>;
  readonly recompute?: (operation: O, scope: RunScope) => Promise<readonly Finding[]>;
  readonly constrain?: (operation: O, scope: RunScope) => Promise<void>;
  readonly check?: (operation: O, scope: RunScope) => Promise<readonly Finding[]>;
  readonly cutOver: (operation: O, scope: RunScope, transaction: Transaction) => Promise<readonly Finding[]>;
  readonly observe: (
    operation: O,
    scope: RunScope,
    transaction: Transaction,
  ) => Promise<readonly TableCounts[]>;
  readonly rollBack: (operation: O, scope: RunScope, transaction: Transaction) => Promise<readonly Finding[]>;
  /** Rows that were written since the cutover and that the way back carried along. */
  readonly newWrites?: (
    operation: O,
    scope: RunScope,
    transaction: Transaction,
  ) => Promise<readonly NewWrites[]>;
  readonly undo?: (operation: O, scope: RunScope, transaction: Transaction) => Promise<void>;
}

/** Counts of a table that is only kept. */
export function counts(table: string, some: Partial<TableCounts> = {}): TableCounts {
  return {
    keep: 0,
    rekey: 0,
    backfill: 0,
    recompute: 0,
    retire: 0,
    ambiguous: 0,
    carried: 0,
    ...some,
    table,
  };
}
