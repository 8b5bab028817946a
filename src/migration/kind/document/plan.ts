/** What a migration of documents would do, there and back. */
import { refusal, VarveError, type Finding } from '../../../base/index.ts';
import type { TableCounts } from '../../../evidence/index.ts';
import type { Bundle } from '../../bundle.ts';
import type { Enforcement, KindPlan, PlanContext } from '../../kind.ts';
import { objectOf, placeOf, readForward, type ForwardDocument } from './bundle-document.ts';
import { allowedBy, type DocumentCounts, type DocumentEngine, type Documents, type Reach } from './engine.ts';

/** The limits of the kind. */
export const LIMITS: readonly string[] = [
  'max_document_count',
  'max_document_quarantined',
  'max_path_lossy',
  'max_path_assumed',
];

/** What was in force: each document was compared with scope as it was built, and written only where it was the one read. */
export const ENFORCEMENT: Enforcement = {
  level: 'observed',
  layers: ['document_scope', 'compare_and_swap'],
  role: 'none',
};

/** Of a bundle that was planned, so that its file can be read. */
export function forwardOf(bundle: Bundle): ForwardDocument {
  const read = readForward(bundle);
  if (read.status === 'ok') return read.forward;
  throw new VarveError('bundle_invalid', { detail: { ...read.finding.detail }, hint: read.finding.hint });
}

/** Opens the documents of a bundle. */
export function open(
  engine: DocumentEngine,
  bundle: Bundle,
  reach: Reach,
): ReturnType<DocumentEngine['open']> {
  return engine.open(forwardOf(bundle), allowedBy(bundle), reach);
}

/** What a run forward would do, counted over every document. */
export async function planForward(engine: DocumentEngine, context: PlanContext): Promise<KindPlan> {
  const { bundle, transaction, planned } = context;
  const read = readForward(bundle);
  if (read.status === 'refused') return emptyPlan([read.finding]);
  const opened = await open(engine, bundle, { transaction });
  if (opened.status === 'refused') return emptyPlan(opened.findings);
  await using documents = opened.documents;
  const object = objectOf(read.forward);
  const found = [
    ...scopeOf(bundle, read.forward),
    ...typeFindings(documents, read.forward),
    ...triggerFindings(object, await documents.triggers(transaction)),
  ];
  const base = { ...emptyPlan(found), bound: documents.bound, objects: [object] };
  // What was counted for the plan is counted again as it is built, and held to the limits then.
  if (planned !== undefined) {
    return { ...base, tables: planned.tables, shown: planned.shown, measures: UNTOLD };
  }
  const { counts, report, findings } = await documents.cover();
  return {
    ...base,
    tables: [countsOf(object, counts)],
    measures: measuresOf(counts),
    shown: { coverage: report, operations: wordsOf(counts) },
    findings: [...base.findings, ...findings],
  };
}

const UNTOLD = Object.fromEntries(LIMITS.map((limit) => [limit, null]));

function emptyPlan(findings: readonly Finding[]): KindPlan {
  return {
    bound: {},
    tables: [],
    objects: [],
    enforcement: ENFORCEMENT,
    measures: UNTOLD,
    shown: {},
    rollbackClass: 'restore_from_capture',
    findings,
  };
}

/** The documents are named as allowed, which the lifecycle asks of all but columns, and by no forbidden list. */
function scopeOf({ declaration }: Bundle, forward: ForwardDocument): readonly Finding[] {
  const { allowed_documents: allowed = [], forbidden_documents: forbidden = [] } = declaration.scope;
  const names = [placeOf(forward), objectOf(forward)];
  const isAllowed = forward.source.kind !== 'column' || allowed.includes(placeOf(forward));
  if (isAllowed && !names.some((name) => forbidden.includes(name))) return [];
  return [
    refusal('scope_violation', placeOf(forward), {
      hint: 'Name these documents under scope.allowed_documents in a new bundle, or leave them alone.',
    }),
  ];
}

/** Nothing goes forward with steps that nobody looked at. The way back needs only what the run kept. */
export function typeFindings(documents: Documents, forward: ForwardDocument): readonly Finding[] {
  if (documents.typeDigest === forward.type_digest) return [];
  return [
    refusal('plan_changed', forward.type, {
      detail: { changed: 'the document type' },
      hint: 'Plan it again with the type as it is now, or bring back the one that was planned.',
    }),
  ];
}

/** What a trigger of the table writes elsewhere is no document, and held to no scope: it is told. */
function triggerFindings(object: string, triggers: readonly string[]): readonly Finding[] {
  if (triggers.length === 0) return [];
  return [
    {
      code: 'document_triggers',
      severity: 'warning',
      subject: object,
      detail: { triggers },
      hint: 'These run at each document that is put in place; see that what they write elsewhere is meant.',
    },
  ];
}

/** What each limit is held against. */
export function measuresOf({
  migrated,
  quarantined,
  lossy,
  assumed,
}: DocumentCounts): Readonly<Record<string, number>> {
  return {
    max_document_count: migrated,
    max_document_quarantined: quarantined,
    max_path_lossy: lossy,
    max_path_assumed: assumed,
  };
}

/** Documents that are replaced, and those that stay. */
export function countsOf(table: string, { documents, migrated }: DocumentCounts): TableCounts {
  return {
    table,
    keep: documents - migrated,
    rekey: 0,
    backfill: migrated,
    recompute: 0,
    retire: 0,
    ambiguous: 0,
    carried: 0,
  };
}

function wordsOf({ byPath, quarantined }: DocumentCounts): readonly string[] {
  return [
    ...Object.entries(byPath).map(([path, count]) => `${path}: ${String(count)} documents`),
    ...(quarantined === 0 ? [] : [`quarantined, and left as they are: ${String(quarantined)} documents`]),
  ];
}

/** What a way back would do. */
export async function planBack(
  engine: DocumentEngine,
  { bundle, transaction, forward }: PlanContext,
): Promise<KindPlan> {
  const opened = await open(engine, bundle, { transaction });
  if (opened.status === 'refused') return emptyPlan(opened.findings);
  await using documents = opened.documents;
  const of = forward?.runId ?? '';
  const base = { ...emptyPlan([]), bound: documents.bound, objects: [objectOf(forwardOf(bundle))] };
  if ((await documents.keptBy(transaction, of)) === undefined)
    return { ...base, findings: [letGo(bundle.id)] };
  const { restored, stepped, findings } = await documents.coverBack(of);
  return { ...base, shown: { restored, stepped }, findings };
}

function letGo(id: string): Finding {
  return refusal('structure_missing', id, {
    detail: { reason: 'originals_let_go' },
    hint: 'The originals were let go by `varve retire`: write a migration to the older version instead.',
  });
}
