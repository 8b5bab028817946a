/** Lets at most so many in at a time, the others in the order they came. With a capacity of 1 it is a mutex. */
export interface Gate {
  readonly run: <T>(work: () => Promise<T>) => Promise<T>;
  /** Waits for all that came before and lets nobody in any more. */
  readonly shut: () => Promise<void>;
}

/** A gate with this many places. */
export function createGate(capacity: number): Gate {
  const waiting: (() => void)[] = [];
  let free = capacity;

  async function enter(): Promise<void> {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    // The place goes straight to the next one, so that no newcomer can slip in between.
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }

  return {
    run: async (work) => {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
    shut: async () => {
      for (let place = 0; place < capacity; place += 1) await enter();
    },
  };
}
