import type { Pointer } from './pointer.ts';

/** A fact that nobody recorded and a step put in all the same. */
export type Assumed = {
  readonly pointer: Pointer;
  readonly reason: string;
};
