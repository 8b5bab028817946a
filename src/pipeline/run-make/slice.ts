import type { ErrorCode, JsonObject } from '../../base/index.ts';
import type { FileAccess, MakeInput, MakeResult } from './make-runner.ts';

/** What a thread or process is opened with: plain data. */
export interface HostSettings {
  /** The URL of the module that defines the pipelines. */
  readonly module: string;
  readonly definitionDigest: string;
  readonly files: FileAccess;
}

/** Some keys of one table, sent at once. */
export interface Slice {
  readonly table: string;
  readonly now: string;
  readonly inputs: readonly MakeInput[];
}

/** What a host is told. */
export type HostRequest = { readonly kind: 'slice'; readonly slice: Slice } | { readonly kind: 'abort' };

/** What a host says. */
export type HostMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly error: ErrorText }
  | { readonly kind: 'log'; readonly message: string }
  | { readonly kind: 'done'; readonly results: readonly MakeResult[]; readonly durationMs: number };

/** A `VarveError` as plain data. */
export interface ErrorText {
  readonly code: ErrorCode;
  readonly detail: JsonObject;
  readonly hint: string;
}
