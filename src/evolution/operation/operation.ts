/**
 * An operation: what is done to one table, as data in a bundle, with the verbs that carry it out. What is different about a
 * table is told by its changes (`../change/`); all of them together are one operation, `rebuild`, however many they are.
 *
 * | verb | when | writes |
 * |---|---|---|
 * | `plan` | before anything; again at the start of a run | nothing |
 * | `expand`, `build`, `constrain`, `check` | beside what readers see, in this order, resumable | the new structure only |
 * | `leave`, `enter` | inside the deciding transaction: old structures go, new ones come | names, relations |
 * | `observe` | after it, before the commit | nothing |
 * | `carryBack`, `leaveBack`, `enterBack`, `joinBack` | inside the deciding transaction of the way back | the same, and rows written since |
 * | `undo` | for a run that will not be decided | takes the new structure away |
 *
 * A verb that an operation has no use for is absent. Each verb goes over all operations before the next one does: what one
 * table leaves, another may enter.
 */
import type { Attribution, Decisions } from '../attribution.ts';
import type { Change, ColumnSource } from '../change/change.ts';
import type { IncomingKey } from '../foreign-keys.ts';
import type { HandMadeNames } from '../hand-made/hand-made.ts';
import type { Naming } from '../naming.ts';
import type { Finding, JsonObject } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import type { NewWrites, RunContext } from '../../migration/index.ts';
import type {
  CodeIdentity,
  Definitions,
  DefinitionSet,
  MakeRunner,
  Placement,
  Relations,
} from '../../pipeline/index.ts';
import type { RunEnvironment } from '../../run/index.ts';
import type { ObjectStore, Queryable, Transaction } from '../../store/index.ts';

/** A table that is defined and not there yet. */
export interface CreateTable {
  readonly kind: 'create_table';
  readonly table: string;
}

/** A table that is defined now and stands there already, made by somebody else. */
export interface AdoptTable {
  readonly kind: 'adopt_table';
  readonly table: string;
  /** Where it stands. */
  readonly schema: string;
  readonly name: string;
  /** Where the tables stand that are adopted with it. */
  readonly placements: Readonly<Record<string, Placement>>;
}

/** A table that gets a new structure, and every row of it its place there. */
export interface Rebuild {
  readonly kind: 'rebuild';
  readonly table: string;
  /** The tables that its rows come from, as they were called; none: it is new, and filled beside. */
  readonly from: readonly string[];
  readonly changes: readonly Change[];
  /** Where the values of each of its columns come from. */
  readonly columns: Readonly<Record<string, ColumnSource>>;
}

/** A table that only goes by another name. */
export interface RenameTable {
  readonly kind: 'rename_table';
  readonly table: string;
  readonly was: string;
}

/** A table that is defined no more. */
export interface RemoveTable {
  readonly kind: 'remove_table';
  readonly table: string;
}

/** A definition that says something else about the same rows: a comment, how strictly it reads, columns added above. */
export interface Redefine {
  readonly kind: 'redefine';
  readonly table: string;
  /** Nothing but names of other tables is different. */
  readonly follows?: true;
}

/** A lookup whose rows in the code are others now. */
export interface SyncContents {
  readonly kind: 'sync_contents';
  readonly table: string;
}

/** A make that is another now and gives the same, as a sample of its rows has to show. */
export interface AttestCode {
  readonly kind: 'attest_code';
  readonly table: string;
  /** Digest of the present code. */
  readonly code: string;
  /** Keys of each earlier code that are computed again. */
  readonly sample: number;
  /** Another seed, other keys. */
  readonly seed: string;
}

/** Every operation there is. */
export type Operation =
  AdoptTable | AttestCode | CreateTable | Rebuild | Redefine | RemoveTable | RenameTable | SyncContents;

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

/** What a plan says of one rebuild. */
export interface PlannedRebuild {
  readonly counts: TableCounts;
  readonly findings: readonly Finding[];
  /** How many rows each reason decides over, for people. */
  readonly reasons: readonly { readonly class: string; readonly why: string; readonly rows: number }[];
  /** What shows only while it runs, for people. */
  readonly questions: readonly string[];
  /** The keys of the first ambiguous rows. */
  readonly ambiguousKeys: readonly JsonObject[];
}

/** What a verb that only looks may use. */
export interface PlanScope extends Sets {
  readonly operations: readonly Operation[];
  readonly naming: Naming;
  readonly codeByTable: ReadonlyMap<string, CodeIdentity>;
  readonly transaction: Queryable;
  readonly relations: Relations;
  readonly attribution: Attribution;
  /** What functions of the bundle said of ambiguous rows. */
  readonly decisions: Decisions;
  /** What is planned for the rebuilds, by table: they are planned together. */
  readonly planned: ReadonlyMap<string, PlannedRebuild>;
}

/** What the planning of a way back may use. */
export interface BackScope {
  readonly transaction: Queryable;
  readonly relations: Relations;
  readonly operations: readonly Operation[];
}

/** What an operation would do to the rows. */
export interface OperationPlan {
  readonly tables: readonly TableCounts[];
  readonly findings: readonly Finding[];
  /** What apply is held to. */
  readonly bound: JsonObject;
  /** How often tables were read without being declared that are declared now; null where none are. */
  readonly reads?: number | null;
  /** What shows only while it runs, for people. */
  readonly questions?: readonly string[];
}

/** Names and comments that objects which people made get back with the table's name. */
export interface ByHand {
  readonly names: HandMadeNames;
  readonly comments: ReadonlyMap<string, string>;
}

/** What a verb of a run may use. */
export interface RunScope extends Sets {
  readonly operations: readonly Operation[];
  readonly naming: Naming;
  readonly context: RunContext;
  readonly world: EvolutionWorld;
  readonly attribution: Attribution;
  /** What functions of the bundle said of ambiguous rows. */
  readonly decisions: Decisions;
  /** The structures that stand: for what decides, as they did when its transaction began; for `observe`, as they do after it. */
  readonly held: Relations;
  /** Foreign keys that were taken off a table of this name, to be put on the one that takes its place. */
  readonly incoming: Map<string, readonly IncomingKey[]>;
  /** What people put on a table by hand, by the name of the one that takes its place. */
  readonly byHand: Map<string, ByHand>;
  /** How many rows the way back carried into a table of this name, or took out of it. */
  readonly carried: Map<string, number>;
}

/** A verb inside a deciding transaction; a finding ends it, and nothing was changed. */
export type Deciding<O> = (
  operation: O,
  scope: RunScope,
  transaction: Transaction,
) => Promise<readonly Finding[]>;

/** The verbs of one kind of operation. */
export interface OperationVerbs<O> {
  readonly kind: string;
  /** In words, for people. */
  readonly describe: (operation: O) => string;
  readonly plan: (operation: O, scope: PlanScope) => Promise<OperationPlan>;
  /** What the way back would keep. */
  readonly planBack: (operation: O, scope: BackScope) => Promise<readonly TableCounts[]>;
  readonly expand?: (operation: O, scope: RunScope) => Promise<void>;
  readonly build?: (operation: O, scope: RunScope) => Promise<readonly Finding[]>;
  readonly constrain?: (operation: O, scope: RunScope) => Promise<readonly Finding[]>;
  readonly check?: (operation: O, scope: RunScope) => Promise<readonly Finding[]>;
  readonly leave?: Deciding<O>;
  readonly enter?: Deciding<O>;
  readonly observe: (
    operation: O,
    scope: RunScope,
    transaction: Transaction,
  ) => Promise<readonly TableCounts[]>;
  readonly carryBack?: Deciding<O>;
  readonly leaveBack?: Deciding<O>;
  readonly enterBack?: Deciding<O>;
  readonly joinBack?: Deciding<O>;
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

/**
 * What a run did, as the plan counts it: rows that people wrote or deleted since the plan's snapshot are told apart, as
 * carried.
 */
export function asPlanned(planned: TableCounts, found: TableCounts): TableCounts {
  const classes = ['keep', 'rekey', 'backfill', 'recompute', 'retire'] as const;
  const sum = (of: (name: (typeof classes)[number]) => number): number =>
    classes.reduce((total, name) => total + Math.max(0, of(name)), 0);
  const more = sum((name) => found[name] - planned[name]);
  const less = sum((name) => planned[name] - found[name]);
  return {
    ...planned,
    table: found.table,
    ambiguous: found.ambiguous,
    carried: found.carried + Math.max(more, less),
  };
}
