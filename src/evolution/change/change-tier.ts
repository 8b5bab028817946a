import { words, type ChangeTier, type ChangeType } from './change.ts';

/** Another tier: what people wrote is computed and compared, what was computed stays as it is. */
export const changeTier: ChangeType<ChangeTier> = {
  kind: 'change_tier',
  find: ({ spec, sources }) => {
    const [old] = sources;
    if (old === undefined || old.tier === spec.tier || old.tier === 'part' || spec.tier === 'part') return [];
    return [{ kind: 'change_tier', was: old.tier, now: spec.tier }];
  },
  describe: ({ was, now }, table) => words('tier', `${table} ${was} -> ${now}`),
};
