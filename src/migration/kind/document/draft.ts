/** A bundle that is written from a count of all documents: its limits are what was counted (M140). */
import { canonicalJson, refusal, type Finding } from '../../../base/index.ts';
import { freeMigrationId, writeBundle } from '../../bundle.ts';
import { ANY_APPROVER, type Declaration } from '../../declaration.ts';
import type { RunnerOptions } from '../../environment.ts';
import { planMigration, type PlanOutcome } from '../../plan-migration.ts';
import type { Refused } from '../../refused.ts';
import { registerBundle } from '../../registry.ts';
import { readStatus } from '../../status.ts';
import { placeOf, type ForwardDocument, type RollbackDocument } from './bundle-document.ts';
import type { DocumentCoverage, DocumentEngine } from './engine.ts';

/** A written bundle with its plan. */
export type DocumentDraft =
  Refused | { readonly status: 'drafted'; readonly migrationId: string; readonly outcome: PlanOutcome };

/** What is asked beside the documents. */
export interface DraftChoices {
  /** Whether ways down that lose something may be taken. */
  readonly allowLossy?: boolean;
  readonly intent?: string;
  /** Whether readers write back what they move, until a last sweep. */
  readonly isLazy?: boolean;
  /** Connections that build at once. Default 1. */
  readonly connections?: number;
}

/** Counts all documents, and writes a bundle that allows as much as was counted, with its plan. */
export async function draftDocuments(
  options: RunnerOptions,
  engine: DocumentEngine,
  wanted: Pick<ForwardDocument, 'types' | 'type' | 'to' | 'source'>,
  { allowLossy = false, intent, isLazy = false, connections = 1 }: DraftChoices = {},
): Promise<DocumentDraft> {
  const asked: ForwardDocument = {
    ...wanted,
    format: 'document/1',
    type_digest: '',
    ...(isLazy ? { mode: 'lazy' } : {}),
    ...(connections === 1 ? {} : { connections }),
  };
  const counted = await options.store.transaction(
    { isolation: 'repeatable read', readOnly: true },
    async (transaction) => {
      const opened = await engine.open(asked, { isLossy: allowLossy }, { transaction });
      if (opened.status === 'refused') return opened;
      await using documents = opened.documents;
      return { ...(await documents.cover()), typeDigest: documents.typeDigest };
    },
  );
  if ('status' in counted) return counted;
  const forward = { ...asked, type_digest: counted.typeDigest };
  const refusing = counted.findings.filter(({ severity }) => severity === 'error');
  if (refusing.length > 0) return { status: 'refused', findings: refusing };
  const id = await freeMigrationId(options.root, 'document', {
    nowMs: options.clock.nowMs(),
    taken: (await readStatus(options)).migrations.map(({ migrationId }) => migrationId),
  });
  if (id === undefined) return { status: 'refused', findings: [noIdLeft()] };
  const rollback: RollbackDocument = { format: 'document/1', restore: 'originals' };
  const written = await writeBundle(options.root, {
    declaration: declarationOf(id, forward, counted, intent),
    files: {
      'forward.json': canonicalJson(forward),
      'rollback.json': canonicalJson(rollback),
      'notes.md': notesOf(forward, counted),
    },
  });
  if (written.status === 'refused') return written;
  const { principal } = options.actor;
  const entered = await registerBundle(options.root, written.bundle, {
    owners: [principal],
    by: principal,
    clock: options.clock,
  });
  if (entered.status === 'refused') return entered;
  return { status: 'drafted', migrationId: id, outcome: await planMigration(options, id) };
}

function noIdLeft(): Finding {
  return refusal('bundle_invalid', 'migrations', { hint: 'The 99 ids of this day are used up.' });
}

function declarationOf(
  id: string,
  forward: ForwardDocument,
  { counts, pointers }: DocumentCoverage,
  intent = `${placeOf(forward)}: documents of type ${forward.type} to version ${forward.to}`,
): Declaration {
  const scope = {
    allowed_documents: [placeOf(forward)],
    allowed_paths: shortened(pointers),
    forbidden_documents: [],
    forbidden_paths: [],
  };
  return {
    migration_id: id,
    type: 'document',
    intent,
    // Which lists scope has hangs on the kind.
    scope: scope as unknown as Declaration['scope'],
    limits: {
      max_document_count: counts.migrated,
      max_document_quarantined: counts.quarantined,
      max_path_lossy: counts.lossy,
      max_path_assumed: counts.assumed,
    },
    requires_rollback: true,
    approvals: { required_reviewers: [ANY_APPROVER], change_class: 'routine' },
    artifacts: { forward: ['forward.json'], rollback: ['rollback.json'] },
  };
}

const MOST_POINTERS = 50;

/** Pointers that no other one covers; where they are very many, their first segments. */
function shortened(pointers: readonly string[]): readonly string[] {
  const tops =
    pointers.length > MOST_POINTERS
      ? [...new Set(pointers.map((pointer) => pointer.split('/').slice(0, 2).join('/')))]
      : pointers;
  return tops
    .filter((pointer) => !tops.some((other) => other !== pointer && pointer.startsWith(`${other}/`)))
    .toSorted();
}

/** What happens where the documents lie. */
function storyOf({ source, to }: ForwardDocument): { readonly risks: string; readonly back: string } {
  if (source.kind === 'files') {
    return {
      risks: `\`${source.from}\` is never written to; \`${source.to}\` takes its name when all of it is built.`,
      back: 'the output is taken away, unless somebody has edited it',
    };
  }
  return {
    risks: `Readers meet version ${to} from the first batch on, and the older ones until the last.`,
    back: 'the originals where nobody edited, else the steps down where nothing is lost, else a refusal with the list',
  };
}

function notesOf(forward: ForwardDocument, { counts }: DocumentCoverage): string {
  const ways = Object.entries(counts.byPath).map(([path, count]) => `- ${path}: ${String(count)} documents`);
  const { risks, back } = storyOf(forward);
  const left = forward.source.kind === 'files' ? 'are left out' : 'stay as they are';
  return `# Why

Written by \`varve document plan\` from a count of every document of ${placeOf(forward)}.

${ways.join('\n')}

# Risks

${risks} ${String(counts.quarantined)} documents ${left}.

# Rollout

Readers of version ${forward.to} first, then \`varve apply\`: documents are built beside, counted, and put in place.

# Rollback

\`varve rollback\`: ${back}.

# Rollback verification

The digest over all keys and documents equals that of the baseline, documents written since apart.
`;
}
