import { describe, expect, it } from 'vitest';
import { sql } from '../store/index.ts';
import { isVarveError } from '../base/index.ts';
import { t } from './column.ts';
import { definitionsOf } from './definition-set.ts';
import { pipeline } from './pipeline.ts';

const lab = pipeline('lab');
const Mouse = lab.manual('mouse', { key: { mouse: t.integer() } });
const base = { parents: [Mouse], columns: { ok: t.boolean() }, reads: { mouse: Mouse } } as const;

function codeAndFault(define: () => unknown): unknown {
  try {
    define();
  } catch (error) {
    return isVarveError(error) ? [error.code, error.detail['found']] : error;
  }
  return 'defined';
}

describe('isolate', () => {
  it('goes with a make', () => {
    const Alone = lab.computed('alone', { ...base, isolate: true, make: () => ({ ok: true }) });
    expect(Alone.definition.isolate).toBe(true);
    const Free = lab.computed('free', { ...base, isolate: false, make: () => ({ ok: true }) });
    expect(Free.definition.isolate).toBe(false);
  });

  it('is refused where the database is what is read', () => {
    expect(
      codeAndFault(() =>
        // @ts-expect-error -- a makeWith needs the database
        lab.computed('with', { ...base, isolate: true, makeWith: () => ({ ok: true }) }),
      ),
    ).toEqual(['definition_invalid', '`isolate` goes with make, and it has makeWith']);
    expect(
      codeAndFault(() =>
        // @ts-expect-error -- a query runs in the database
        lab.computed('query', { ...base, isolate: true, query: sql`select mouse, true as ok from mouse` }),
      ),
    ).toEqual(['definition_invalid', '`isolate` goes with make, and it has query']);
  });

  it('is refused where it is no boolean', () => {
    // @ts-expect-error -- neither true nor false
    const define = () => lab.computed('odd', { ...base, isolate: 'yes', make: () => ({ ok: true }) });
    expect(codeAndFault(define)).toEqual(['definition_invalid', '`isolate` is neither true nor false']);
  });

  it('is no part of what a definition means: the same results, more strictly made', () => {
    const digestOf = (isolate: boolean): unknown => {
      const other = pipeline('other');
      const Parent = other.manual('parent', { key: { id: t.integer() } });
      other.computed('child', {
        parents: [Parent],
        columns: { ok: t.boolean() },
        reads: { parent: Parent },
        isolate,
        make: () => ({ ok: true }),
      });
      const defined = definitionsOf([other]);
      return defined.status === 'ok' ? defined.definitions.digest : defined;
    };
    expect(digestOf(true)).toBe(digestOf(false));
  });
});
