import type { Finding } from '../base/index.ts';

/** The findings say why not; nothing was changed. */
export interface Refused {
  readonly status: 'refused';
  readonly findings: readonly Finding[];
}

/** A value, or why there is none. */
export type Result<V> = { readonly status: 'ok'; readonly value: V } | Refused;

/** A refusal of these findings. */
export function refused(...findings: readonly Finding[]): Refused {
  return { status: 'refused', findings };
}

/** A value that there is. */
export function ok<V>(value: V): Result<V> {
  return { status: 'ok', value };
}
