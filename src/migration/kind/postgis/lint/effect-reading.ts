import type { RangeVar } from 'libpg-query';
import type { DdlAction, LockMode } from './ddl-effect.ts';
import type { Effect } from './effect.ts';
import type { History } from './history.ts';

/** What reading a statement needs beside its tree. */
export interface EffectReading {
  readonly history: History;
  readonly offsetOf: (location: number) => number;
  /** UTF-16 offset of a command of an ALTER TABLE, by its index. */
  readonly commandStart: (index: number) => number | undefined;
}

/** Makes an effect, knowing whether its relation is new. */
export type MakeEffect = (
  action: DdlAction,
  relation: string | RangeVar | undefined,
  more?: { readonly what?: string; readonly at?: number; readonly lock?: LockMode },
) => Effect;
