/** The definitions before and after each change that is measured. Makes that only stand for rows made by SQL are never called. */
import { pipeline, t, type AnyTable, type Pipeline } from '../../src/pipeline/index.ts';

/** What of `r` differs from case to case. */
export interface ResultForm {
  /** Whether the read of `side` is declared. */
  readonly declared: boolean;
  /** Milliseconds that the declared make takes for one key. */
  readonly makeMs?: number;
}

/** `s`, `side`, and `r`, which reads for each row of `s` the one row of `side` that it wants. */
export function results({ declared, makeMs = 0 }: ResultForm): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', {
    key: { s: t.integer() },
    columns: { v: t.integer(), wanted: t.integer() },
  });
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  if (!declared) {
    lab.computed('r', {
      parents: [source],
      columns: { value: t.integer() },
      strict: 'observe',
      reads: { s: source },
      makeWith: () => Promise.reject(new TypeError('its rows are made by SQL')),
    });
    return lab;
  }
  const reference = side.from({ side: source.column('wanted') });
  lab.computed('r', {
    parents: [source],
    references: { side: reference },
    columns: { value: t.integer() },
    reads: { s: source, side: reference },
    make: ({ s, side: found }) => {
      if (makeMs > 0) spin(makeMs);
      return { value: s.v + found.off };
    },
  });
  return lab;
}

/** Takes so long, as a make does that computes. */
function spin(ms: number): void {
  const endMs = performance.now() + ms;
  let nowMs = performance.now();
  while (nowMs < endMs) nowMs = performance.now();
}

/** `r` of each `s`, or of each `s` and `param`, and one table below. */
export function keyed(isWide: boolean): Pipeline {
  const lab = pipeline('lab');
  const source = lab.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } });
  const param = lab.manual('param', { key: { param: t.integer() }, columns: { off: t.integer() } });
  const shape = { columns: { value: t.integer() } };
  const result = isWide
    ? lab.computed('r', {
        ...shape,
        parents: [source, param],
        reads: { s: source, param },
        make: ({ s, param: used }) => ({ value: s.v + used.off }),
      })
    : lab.computed('r', {
        ...shape,
        parents: [source],
        strict: 'observe',
        reads: { s: source },
        makeWith: () => Promise.reject(new TypeError('its rows are made by SQL')),
      });
  lab.computed('below', {
    parents: [result],
    columns: { twice: t.integer() },
    reads: { r: result },
    make: ({ r }) => ({ twice: r.value * 2 }),
  });
  return lab;
}

/** Tables in a chain below each source. */
export const CHAIN_TABLES = 8;

/**
 * Chains of tables, each below the one before: with `side`, which the last of each chain reads, ten chains are 91 tables
 * that hold rows, and nine empty ones make it a hundred.
 */
export function chains(count: number, declared: boolean): Pipeline {
  const lab = pipeline('lab');
  const side = lab.manual('side', { key: { side: t.integer() }, columns: { off: t.integer() } });
  for (let chain = 0; chain < count; chain += 1) {
    const key = `k${String(chain)}`;
    const source = lab.manual(`s${String(chain)}`, {
      key: { [key]: t.integer() },
      columns: { v: t.integer() },
      ...(declared ? { comment: 'as it was' } : {}),
    });
    let above: AnyTable = source;
    for (let at = 1; at < CHAIN_TABLES; at += 1) {
      above = lab.computed(`c${String(chain)}_${String(at)}`, {
        parents: [above],
        columns: { v: t.integer() },
        ...(declared ? { comment: 'as it was' } : {}),
        reads: { above },
        make: () => ({ v: 0 }),
      });
    }
    const last = { parents: [above], columns: { value: t.integer() } };
    if (declared) {
      lab.computed(`r${String(chain)}`, {
        ...last,
        references: { side },
        reads: { above, sides: side.all() },
        make: () => ({ side: 0, value: 0 }),
      });
    } else {
      lab.computed(`r${String(chain)}`, {
        ...last,
        strict: 'observe',
        reads: { above },
        makeWith: () => Promise.reject(new TypeError('its rows are made by SQL')),
      });
    }
  }
  for (let at = 0; at < 9; at += 1) lab.manual(`e${String(at)}`, { key: { e: t.integer() } });
  return lab;
}
