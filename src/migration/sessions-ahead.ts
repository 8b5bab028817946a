/**
 * Sessions of a run's own logins, opened while the run is still planned and admitted: a login takes some milliseconds, and
 * what a new session is asked first takes it several times as long as what it is asked again.
 *
 * Nothing hangs on them. They may nothing (the roles are lent later, after the intent), what they are asked here counts for
 * nothing, and where one could not be opened, that shows where it is needed. Whatever nobody took is ended.
 */
import type { JsonObject } from '../base/index.ts';
import type { Store } from '../store/index.ts';
import { allDone } from './all-done.ts';
import type { Bundle } from './bundle.ts';
import type { RunnerOptions } from './environment.ts';
import type { MigrationKind } from './kind.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

/** Sessions that wait to be used. */
export interface SessionsAhead extends AsyncDisposable {
  /** The runner's, once; undefined where there is none, or it was taken. */
  readonly takeRunner: () => Promise<Store> | undefined;
  /** The witness's, likewise. */
  readonly takeVerify: () => Promise<Store> | undefined;
}

/** Begins to open what a run of this plan will need. */
export function openAhead(
  options: RunnerOptions,
  { bundle, kind }: { readonly bundle: Bundle; readonly kind: MigrationKind },
  bound: JsonObject,
): SessionsAhead {
  const { store, runnerLogin, verifyLogin, settings = DEFAULT_SETTINGS } = options;
  const isConfined = kind.confine?.isDue(bound) === true;
  const runner = isConfined ? waiting(runnerLogin?.open(store.location)) : undefined;
  const verify = kind.isWitnessDue?.(bound) === true ? waiting(verifyLogin?.open(store.location)) : undefined;
  // Not awaited: who takes the session queues behind it. It may fail, such as for want of time, and then has done no harm.
  runner
    ?.peek()
    ?.then((session) => kind.confine?.warmUp?.(session, { bundle, settings, bound }))
    .catch(() => undefined);
  return {
    takeRunner: () => runner?.take(),
    takeVerify: () => verify?.take(),
    [Symbol.asyncDispose]: async () => {
      await allDone([runner, verify].map(async (each) => await each?.[Symbol.asyncDispose]()));
    },
  };
}

interface Waiting extends AsyncDisposable {
  readonly peek: () => Promise<Store> | undefined;
  readonly take: () => Promise<Store> | undefined;
}

function waiting(opening: Promise<Store> | undefined): Waiting {
  let kept = opening;
  // Whoever takes it hears of a failure; if nobody does, it is none.
  opening?.catch(() => undefined);
  const take = (): Promise<Store> | undefined => {
    const taken = kept;
    kept = undefined;
    return taken;
  };
  return {
    peek: () => kept,
    take,
    [Symbol.asyncDispose]: async () => {
      const store = await take()?.catch(() => undefined);
      await store?.[Symbol.asyncDispose]();
    },
  };
}
