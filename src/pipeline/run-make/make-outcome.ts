import type { ErrorCode, Json } from '../../base/index.ts';

/** A row ready to be sent, its columns by name. */
export type MadeValues = Readonly<Record<string, Json>>;

/** What one key produced. */
export interface MadeRows {
  readonly status: 'made';
  readonly rows: readonly MadeValues[];
  /** By part name. */
  readonly parts: Readonly<Record<string, readonly MadeValues[]>>;
  readonly durationUs: number;
}

/** Why one key produced nothing. `message` and `stack` are the make's own and stay in the database. */
export interface MakeFailure {
  readonly status: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string | null;
}

/** What calling a make gave. */
export type MakeOutcome = MadeRows | MakeFailure;
