/** Where a row comes from, as `why` tells it. */
import type { JsonObject } from '../base/index.ts';
import type { Adoption } from './adoption.ts';
import type { EnforcementLevel } from './computation-spec.ts';
import type { IngestionOrigin } from './ingestion.ts';
import type { LetGo } from './relation.ts';
import type { ReadSpec, Tier } from './spec.ts';

/** Where one unit of rows comes from. Digests are `sha256:<hex>`, instants ISO 8601 UTC. */
export interface RowOrigin {
  readonly table: string;
  readonly tier: Tier;
  readonly key: JsonObject;
  /** When this version became and ceased valid; `until` null: it stands. */
  readonly since: string | null;
  readonly until: string | null;
  /** Null: no computation is recorded, as for rows that people bring. */
  readonly computation: ComputationOrigin | null;
  /** Steps from the row that was asked about; 0: that row itself. */
  readonly depth: number;
  /** The calls that brought its rows, and those of its parts; empty for rows of a make and for a plain INSERT. */
  readonly ingestions: readonly IngestionOrigin[];
  /** Who let its rows go, when: of the computation, inputs and reads are not known any more. Null: they are there. */
  readonly letGo: LetGo | null;
  /** Where nothing else is recorded of a row in a table that varve took over: by which run, and when. */
  readonly adopted: Adoption | null;
}

/** One computation. */
export interface ComputationOrigin {
  readonly run: RunOrigin;
  readonly code: {
    readonly digest: string;
    readonly basis: string;
    readonly packages: Readonly<Record<string, string>>;
    /** The text that the digest is of; only where it was asked for. */
    readonly source?: string;
  };
  /** How far reads were held to their declaration. */
  readonly enforcement: EnforcementLevel;
  /** `computed` by its make, `attributed` by a migration, `adopted` as found. */
  readonly origin: string;
  /** The rule of a migration that attributed it. */
  readonly attribution: JsonObject | null;
  readonly outputDigest: string;
  /** Null where its rows were let go. */
  readonly durationUs: number | null;
  readonly inputs: readonly InputOrigin[];
  /** What it read beside its declared inputs: files, and tables that observation let through. */
  readonly recorded: readonly RecordedOrigin[];
}

/** The run of a computation. */
export interface RunOrigin {
  readonly name: string;
  readonly kind: string;
  readonly actor: string;
  readonly host: string;
  readonly gitCommit: string | null;
  readonly lockDigest: string | null;
  readonly definitionDigest: string | null;
  readonly startedAt: string;
  readonly finishedAt: string | null;
  readonly status: string;
}

/** One declared read. */
export interface InputOrigin {
  readonly read: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly cardinality: ReadSpec['cardinality'];
  /** Primary keys of the rows that its match finds now, up to the limit; null where its table or a column is gone. */
  readonly keys: readonly JsonObject[] | null;
  /** All that it finds now. */
  readonly rowCount: number | null;
  readonly recordedDigest: string;
  /** Null where it cannot be computed any more. */
  readonly presentDigest: string | null;
  /** Whether the rows still are what was read. */
  readonly isPresent: boolean;
}

/** A read that was recorded as it happened. */
export interface RecordedOrigin {
  /** `schema.table` as it was called then, `file:path` or `folder:path`. */
  readonly subject: string;
  /** What the table is called now, where that is another name. */
  readonly now?: string;
  readonly declared: boolean;
  readonly columns: readonly string[];
  readonly keys: readonly JsonObject[] | null;
  readonly rowCount: number;
  readonly digest: string;
}
