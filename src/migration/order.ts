/** The order in which bundles run: by date, number and prefix, refined by what they name under `after` (M8). */
import { refusal, type Finding } from '../base/index.ts';
import type { Bundle } from './bundle.ts';
import { compareMigrationIds } from './migration-id.ts';

/** What the order asks of a bundle. */
export interface Ordered {
  readonly id: string;
  readonly after: readonly string[];
}

/** A bundle as the order sees it. */
export function orderedBundle({ id, declaration }: Bundle): Ordered {
  return { id, after: declaration.after ?? [] };
}

/** The bundles in the order in which they run, or those that wait for each other. */
export function orderBundles(
  bundles: readonly Ordered[],
):
  | { readonly status: 'ok'; readonly ids: readonly string[] }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] } {
  const waiting = new Map(
    bundles.map(({ id, after }) => [
      id,
      new Set(after.filter((other) => bundles.some((each) => each.id === other))),
    ]),
  );
  const ids: string[] = [];
  for (let ready = nextReady(waiting); ready !== undefined; ready = nextReady(waiting)) {
    ids.push(ready);
    waiting.delete(ready);
    for (const others of waiting.values()) others.delete(ready);
  }
  if (waiting.size === 0) return { status: 'ok', ids };
  const circle = circleIn(waiting);
  const hint = 'Take one of these out of the `after` of another.';
  const findings = [refusal('bundle_cycle', circle[0] ?? '', { detail: { migrations: circle }, hint })];
  return { status: 'refused', findings };
}

type Waiting = ReadonlyMap<string, ReadonlySet<string>>;

function nextReady(waiting: Waiting): string | undefined {
  return [...waiting]
    .filter(([, others]) => others.size === 0)
    .map(([id]) => id)
    .toSorted(compareMigrationIds)[0];
}

/** Each of these waits for another one of them: walking on comes back. */
function circleIn(waiting: Waiting): readonly string[] {
  const path: string[] = [];
  let at = [...waiting.keys()].toSorted(compareMigrationIds)[0] ?? '';
  while (!path.includes(at)) {
    path.push(at);
    at = [...(waiting.get(at) ?? [])].toSorted(compareMigrationIds)[0] ?? '';
  }
  return path.slice(path.indexOf(at));
}

/**
 * What the order says against running a bundle where these are applied: what it comes after is not, or a newer one is
 * already, which wants a review.
 */
export function orderFindings({ id, after }: Ordered, applied: readonly string[]): readonly Finding[] {
  const lacking = after.filter((other) => !applied.includes(other));
  const newer = applied.filter((other) => compareMigrationIds(other, id) > 0 && !after.includes(other));
  const findings: Finding[] = lacking.map((other) =>
    refusal('out_of_order', id, {
      detail: { reason: 'comes_after', other },
      hint: `Apply ${other} first.`,
    }),
  );
  if (newer.length > 0) {
    findings.push({
      ...refusal('out_of_order', id, {
        detail: { reason: 'behind_newer', applied: newer },
        hint: 'Look whether it still fits what came later, or write it as a new migration of today.',
      }),
      severity: 'review',
    });
  }
  return findings;
}
