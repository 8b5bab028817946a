/** What is known beside the definitions when rows are classified. */
import { loadFormerKeyNames, type FormerKeyNames } from '../../pipeline/index.ts';
import { sql, type Queryable } from '../../store/index.ts';
import { computedRelation, variantsOf } from './coverage.ts';
import { readSubjectsOf } from './read-subjects.ts';
import type { Facts } from './row-test.ts';
import { recordedKeys, targetOf } from './recorded-ways.ts';
import type { Rebuilding } from './world.ts';

/** Of one table; `canJudgeText` is asked for unless it is known. */
export async function factsOf(store: Queryable, of: Rebuilding, canJudgeText?: boolean): Promise<Facts> {
  const computed = recordedKeys(of).length === 0 ? undefined : computedRelation(of, 0);
  return {
    variants: await variantsOf(store, of),
    canJudgeText: canJudgeText ?? (await judgesText(store)),
    readSubjects: computed === undefined ? undefined : await readSubjectsOf(store, computed),
    formerKeys: computed === undefined ? new Map() : await formerKeysOf(store, of),
  };
}

async function formerKeysOf(store: Queryable, of: Rebuilding): Promise<Facts['formerKeys']> {
  const former = new Map<number, FormerKeyNames>();
  for (const { to } of recordedKeys(of)) {
    const relation = targetOf(of, to)?.relation;
    if (relation !== undefined) former.set(relation.id, await loadFormerKeyNames(store, relation.id));
  }
  return former;
}

/** Whether the server can be asked if a text is a value of a type, instead of failing over it. */
export async function judgesText(store: Queryable): Promise<boolean> {
  const [row] = await store.query<{ there: boolean }>(
    sql`select exists (select from pg_proc where proname = 'pg_input_is_valid') as there`,
  );
  return row?.there === true;
}
