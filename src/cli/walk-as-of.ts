import type { TableGraph, WalkOutcome } from '../provenance/index.ts';
import type { Queryable } from '../store/index.ts';
import type { Context } from './context.ts';
import { storeToRead } from './open-project-world.ts';
import type { CommandResult } from './output.ts';
import { tableGraph } from './table-graph.ts';
import { refusedResult, walkResult } from './walk-output.ts';

/** Where a walk begins, which way it goes, and when. */
export interface AskedWalk {
  readonly tables: readonly string[];
  readonly toParents: boolean;
  /** Undefined: now. */
  readonly asOf: string | undefined;
  readonly walk: (database: Queryable, graph: TableGraph) => Promise<WalkOutcome>;
}

/** Walks over the rows of now, or over those of a past moment by the graph of then. */
export async function walkThen(
  context: Context,
  { asOf, walk, ...asked }: AskedWalk,
): Promise<CommandResult> {
  if (asOf === undefined) {
    const store = await context.store();
    return walkResult(await walk(store, await tableGraph(context, store)));
  }
  const { walkAsOf } = await import('../pipeline/index.ts');
  const result = await walkAsOf(await storeToRead(context), { ...asked, asOf, walk });
  if (result.status === 'refused') return refusedResult(result.findings);
  const walked = walkResult(result.outcome);
  const { past } = result;
  if (walked.status !== 'ok') return walked;
  const fields = { asOf: past.asOf, definitionDigest: past.definitionDigest };
  return {
    ...walked,
    fields: { ...walked.fields, ...fields },
    text: (style) => `${walked.text?.(style) ?? ''}\nas of ${past.asOf}, by the graph of ${past.deployedBy}`,
  };
}
