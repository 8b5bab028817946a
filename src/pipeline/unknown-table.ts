import { nearestName, refusal, type Finding } from '../base/index.ts';

/** The refusal of a table name that stands for nothing, with the nearest that does. */
export function unknownTable(name: string, known: readonly string[]): Finding {
  const nearest = nearestName(name, known);
  return refusal('unknown_table', name, {
    detail: nearest === undefined ? {} : { nearest },
    hint: nearest === undefined ? namesOf(known) : `Did you mean ${nearest}?`,
  });
}

function namesOf(known: readonly string[]): string {
  if (known.length === 0) return 'No table stands here. Run `varve plan`, then `varve apply`.';
  return `Name one of: ${known.slice(0, 20).join(', ')}${known.length > 20 ? ', ...' : ''}.`;
}
