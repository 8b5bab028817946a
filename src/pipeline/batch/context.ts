/** Opens what the batches of one table share. */
import { VarveError } from '../../base/index.ts';
import type { Run } from '../../run/index.ts';
import type { Store } from '../../store/index.ts';
import type { CodeIdentity } from '../code-digest.ts';
import { commandOf } from '../command/command.ts';
import { insertComputationSpec, type EnforcementLevel } from '../computation-spec.ts';
import type { Relation, Relations } from '../relation.ts';
import { ResultSize } from '../result-size.ts';
import { inThreadRunner } from '../run-make/in-thread-runner.ts';
import type { FileAccess, MakeRunner } from '../run-make/make-runner.ts';
import { openStrictReads, type StrictReads } from '../strict/open-strict-reads.ts';
import type { AnyTable } from '../table.ts';
import type { BatchContext, Making } from './batch.ts';
import { standingOid } from './guard.ts';

/** What a context is opened with. */
export interface BatchContextOptions extends Making {
  readonly store: Store;
  readonly table: AnyTable;
  readonly relation: Relation;
  readonly relations: Relations;
  readonly run: Run;
  readonly code: CodeIdentity;
  /** The folder below which makes read files. */
  readonly projectFolder: string;
  /** Where makes run; whoever opened it closes it. Default: in this thread. */
  readonly runner?: MakeRunner | undefined;
}

/** Opens what the batches of one table share; strict reads where its make reads by itself. */
export async function openBatchContext(options: BatchContextOptions): Promise<BatchContext> {
  const { store, table, relation, relations, run, code, projectFolder, objects, signal, log } = options;
  const files: FileAccess = { folder: projectFolder, objects: objects?.settings };
  const runner = options.runner ?? inThreadRunner({ files });
  const oid = await standingOid(store, relation);
  const strict = table.definition.makeWith === undefined ? undefined : await openStrict(options);
  const specId = await insertComputationSpec(store, {
    runId: run.id,
    relation,
    code,
    enforcement: strict?.enforcement ?? enforcementOf(table),
    origin: 'computed',
    attribution: null,
  });
  return {
    store,
    table,
    relation,
    oid,
    relations,
    run,
    specId,
    strict,
    making: { objects, signal, log },
    files,
    runner,
    results: new ResultSize(),
    [Symbol.asyncDispose]: async () => strict?.[Symbol.asyncDispose](),
  };
}

function enforcementOf({ definition }: AnyTable): EnforcementLevel {
  if (commandOf(definition.make) !== undefined) return 'outside';
  return definition.isolate ? 'isolated' : 'pure';
}

/** What was asked to be isolated never runs otherwise. */
export function assertIsolated(table: AnyTable, runner: MakeRunner | undefined): void {
  if (!table.definition.isolate || runner?.isolates === true) return;
  throw new VarveError('isolation_unavailable', {
    detail: { table: table.spec.name },
    hint: 'Populate with a runner that isolates: `openMakeRunner` with the module that defines the pipelines. The command line does so by itself.',
  });
}

async function openStrict({ store, relation, relations }: BatchContextOptions): Promise<StrictReads> {
  return openStrictReads(store, {
    spec: relation.spec,
    specByName: new Map([...relations].map(([name, each]) => [name, each.spec])),
    placementByTable: new Map([...relations].map(([name, each]) => [name, each.placement])),
  });
}
