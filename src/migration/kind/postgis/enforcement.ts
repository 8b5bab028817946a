import type { Capabilities } from '../../../store/index.ts';
import type { Enforcement } from '../../kind.ts';
import type { Guards } from './guard.ts';

/**
 * How firmly a run is held by what is in force (M75): `guarded` where every DDL is watched and every protected table refuses
 * writes, else `observed`. A role that reaches nothing out of scope would raise it to `confined`, a witness to `witnessed`.
 */
export function enforcementOf(
  _capabilities: Capabilities,
  guards: Pick<Guards, 'watches'> & { readonly denies: unknown },
): Enforcement {
  const isGuarded = guards.watches && guards.denies !== undefined;
  return {
    level: isGuarded ? 'guarded' : 'observed',
    layers: [
      'L0',
      'L1',
      ...(guards.watches ? ['L2'] : []),
      ...(guards.denies === undefined ? [] : ['L3']),
      'L5',
      'L6',
      'L7',
      'L8',
    ],
    role: 'none',
  };
}
