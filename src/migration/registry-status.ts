/** What the evidence says of each migration, against what the registry copies (M48). */
import { join } from 'node:path';
import { refusal, type Finding, type Json } from '../base/index.ts';
import { isDigest, readChain } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import type { Registry, RegistryStatus } from './registry.ts';

const ENVIRONMENTS = ['dev', 'stage', 'prod'] as const;

/** Where a migration stands in one environment, by its ledger file and the receipts that this names. */
export interface EnvironmentStatus {
  readonly environment: (typeof ENVIRONMENTS)[number];
  /** Whether a forward run was ever committed, with its receipt at hand; a later rollback does not take that away. */
  readonly wasExecuted: boolean;
  readonly wasRolledBack: boolean;
  /** Whether the last of these runs was forward: it stands there. */
  readonly stands: boolean;
}

/** The status of every migration that a ledger file names, by its id. */
export async function readEnvironmentStatuses(
  root: string,
): Promise<ReadonlyMap<string, readonly EnvironmentStatus[]>> {
  const statuses = new Map<string, EnvironmentStatus[]>();
  for (const environment of ENVIRONMENTS) {
    const bytes = await readIfThere(join(root, `evidence/ledger/${environment}.jsonl`));
    const { lines } = readChain(new TextDecoder().decode(bytes ?? new Uint8Array()));
    const committed = lines.filter((line) => line['phase'] === 'committed' && line['direction'] !== 'retire');
    for (const [id, runs] of Map.groupBy(committed, (line) => textOf(line['migration_id']))) {
      const proved = await Promise.all(
        runs.map(async (run) => hasReceipt(root, lines, textOf(run['run_id']))),
      );
      const wasExecuted = runs.some((run, at) => run['direction'] === 'forward' && proved[at] === true);
      const wasRolledBack = runs.some((run, at) => run['direction'] === 'rollback' && proved[at] === true);
      const stands = runs.findLast((_run, at) => proved[at] === true)?.['direction'] === 'forward';
      statuses.set(id, [...(statuses.get(id) ?? []), { environment, wasExecuted, wasRolledBack, stands }]);
    }
  }
  return statuses;
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

async function hasReceipt(
  root: string,
  lines: ReturnType<typeof readChain>['lines'],
  runId: string,
): Promise<boolean> {
  const closed = lines.find((line) => line['run_id'] === runId && line['phase'] === 'closed');
  const digest = closed?.['receipt_digest'];
  if (!isDigest(digest)) return false;
  const bytes = await readEvidence(root, digest);
  if (bytes === undefined) return false;
  const receipt = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly validation?: { readonly status?: string };
  };
  return receipt.validation?.status === 'pass';
}

/** Steps of the registry's histories that no evidence bears: a copy that claims more is a hard fail. */
export function claimFindings(
  registry: Registry,
  bundles: readonly Bundle[],
  evidence: {
    readonly statuses: ReadonlyMap<string, readonly EnvironmentStatus[]>;
    readonly isMerged: (id: string) => boolean;
    readonly isApproved: (id: string) => boolean;
  },
): readonly Finding[] {
  const superseded = new Set(bundles.flatMap(({ declaration }) => declaration.supersedes ?? []));
  return registry.migrations.flatMap(({ id, history }) => {
    const own = evidence.statuses.get(id) ?? [];
    const bears: Readonly<Record<RegistryStatus, boolean>> = {
      draft: true,
      approved: evidence.isApproved(id),
      merged: evidence.isMerged(id),
      executed_dev: own.some((each) => each.environment === 'dev' && each.wasExecuted),
      executed_stage: own.some((each) => each.environment === 'stage' && each.wasExecuted),
      executed_prod: own.some((each) => each.environment === 'prod' && each.wasExecuted),
      rolled_back: own.some(({ wasRolledBack }) => wasRolledBack),
      superseded: superseded.has(id),
    };
    return history
      .filter(({ status }) => !bears[status])
      .map(({ status }) =>
        refusal('registry_invalid', id, {
          detail: { reason: 'claims_more', status },
          hint: 'Bring the evidence of it, or take the step out: the registry only copies what evidence says.',
        }),
      );
  });
}
