import type { ErrorText, HostMessage, HostRequest, HostSettings } from './slice.ts';

/** What an isolated process is told. */
export type ProcessRequest =
  | HostRequest
  | { readonly kind: 'open'; readonly settings: Omit<HostSettings, 'files'> }
  | { readonly kind: 'file'; readonly id: number; readonly answer: FileAnswer };

/** What a method of `ctx.files` gave on the other side. */
export type FileAnswer =
  | { readonly status: 'ok'; readonly value: unknown }
  | { readonly status: 'failed'; readonly error: ErrorText };

/** What an isolated process says. */
export type ProcessMessage =
  | HostMessage
  /** A make calls a method of `ctx.files`: of the key with this place in its slice. */
  | {
      readonly kind: 'file';
      readonly id: number;
      readonly index: number;
      readonly method: string;
      readonly args: readonly unknown[];
    }
  /** A make reached outside. */
  | { readonly kind: 'left'; readonly index: number | undefined; readonly tried: string };

/** The pipe on which a process says by one byte that it begins a key: the number of its slice. */
export const BEGUN_FD = 4;
