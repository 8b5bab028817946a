import type { Enforcement } from '../../kind.ts';
import type { Confinement } from './confine.ts';
import type { Guards } from './guard.ts';

/**
 * How firmly a run is held by what is in force (M75): `guarded` where every DDL is watched and every protected table refuses
 * writes, `confined` where its login, too, reaches nothing out of scope (M85), `witnessed` where the server's log is read as
 * well before the commit, which a verdict that is missing aborts (M87); else `observed`.
 */
export function enforcementOf(
  guards: Pick<Guards, 'watches'> & { readonly denies: unknown },
  about: { readonly confinement: Confinement | undefined; readonly isWitnessed: boolean },
): Enforcement {
  const { confinement, isWitnessed } = about;
  const isGuarded = guards.watches && guards.denies !== undefined;
  const isConfined = isGuarded && confinement?.role === 'exact';
  return {
    level: isConfined ? (isWitnessed ? 'witnessed' : 'confined') : isGuarded ? 'guarded' : 'observed',
    layers: [
      'L0',
      'L1',
      ...(guards.watches ? ['L2'] : []),
      ...(guards.denies === undefined ? [] : ['L3']),
      ...(confinement === undefined ? [] : ['L4']),
      'L5',
      'L6',
      'L7',
      'L8',
      ...(isWitnessed ? ['L9'] : []),
    ],
    role: confinement?.role ?? 'none',
  };
}
