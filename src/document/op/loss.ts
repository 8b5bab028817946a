import type { Conversion, Op } from './op.ts';
import { valueDigest } from '../value.ts';

/**
 * What a step does to what it does not carry over, from harmless to not: nothing is lost; a value is made up on the
 * way; what finds no place is kept as residue; something is lost.
 */
export type Loss = 'lossless' | 'generates' | 'residue' | 'lossy';

const RANK: Readonly<Record<Loss, number>> = { lossless: 0, generates: 1, residue: 2, lossy: 3 };

/** The worst class of these. */
export function worstLoss(losses: readonly Loss[]): Loss {
  return losses.reduce<Loss>((worst, loss) => (RANK[loss] > RANK[worst] ? loss : worst), 'lossless');
}

/** The loss class of one op. */
export function lossOf(op: Op): Loss {
  switch (op.kind) {
    case 'add':
      return op.onExisting === 'keep' || op.onExisting === 'replace' ? 'residue' : 'generates';
    case 'rename':
    case 'move':
      return op.onExisting === undefined || op.onExisting === 'refuse' ? 'lossless' : 'residue';
    case 'nest':
    case 'hoist':
    case 'wrap':
      return 'lossless';
    case 'convert':
      return isOneToOne(op.by) ? 'lossless' : 'residue';
    case 'inside':
    case 'map':
    case 'mapValues':
    case 'tree':
      return worstLoss(op.ops.map(lossOf));
    case 'when':
      return worstLoss([...op.ops, ...op.otherwise].map(lossOf));
    case 'remove':
    case 'introduce':
    case 'constant':
    case 'copy':
    case 'head':
    case 'split':
    case 'combine':
    case 'coerce':
      return 'residue';
  }
}

function isOneToOne(by: Conversion): boolean {
  if (!('table' in by)) return false;
  const distinct = (side: 0 | 1) => new Set(by.table.map((pair) => valueDigest(pair[side]))).size;
  return distinct(0) === by.table.length && distinct(1) === by.table.length;
}
