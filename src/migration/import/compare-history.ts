/** Which migrations of a folder were applied, by the table of their tool; every difference is a finding. */
import { refusal, type Finding } from '../../base/index.ts';
import { isUpTo } from './flyway.ts';
import type { FolderReading, ImportedItem } from './imported-item.ts';
import type { HistoryEntry, ToolHistory } from './tool-history.ts';

/** A folder beside what was applied of it. */
export interface Comparison {
  /** Applied, and the file is the one that was: these can be taken over. */
  readonly applied: readonly ImportedItem[];
  /** Not applied: these stay with their tool, or become migrations of varve. */
  readonly pending: readonly ImportedItem[];
  readonly findings: readonly Finding[];
}

/** Compares a folder with the table of its tool. */
export function compareHistory(
  { items }: Pick<FolderReading, 'items'>,
  { table, entries, baseline }: ToolHistory,
): Comparison {
  const entryById = new Map(entries.map((entry) => [entry.id, entry]));
  const fileIds = new Set(items.map(({ id }) => id));
  const applied: ImportedItem[] = [];
  const pending: ImportedItem[] = [];
  const findings: Finding[] = [];
  for (const item of items) {
    const entry = entryById.get(item.id);
    if (entry?.state === 'applied' && isSame(item, entry.checksum)) {
      applied.push(item);
      continue;
    }
    pending.push(item);
    findings.push(differenceOf(item, entry, { table, baseline }));
  }
  findings.push(...entries.flatMap((entry) => (fileIds.has(entry.id) ? [] : withoutFile(entry, table))));
  return { applied, pending, findings };
}

/** Whether a file is what was applied, by the rules of its tool. */
export function isSame(
  { checksum, equalChecksums }: Pick<ImportedItem, 'checksum' | 'equalChecksums'>,
  applied: string | null,
): boolean {
  return applied === checksum || (applied !== null && equalChecksums.includes(applied));
}

function differenceOf(
  item: ImportedItem,
  entry: HistoryEntry | undefined,
  { table, baseline }: { readonly table: string; readonly baseline: string | undefined },
): Finding {
  const { id, path, checksum } = item;
  if (entry?.state === 'failed') return failed(path, { id, table });
  if (entry?.state === 'applied' && !item.isRepeatable) {
    return refusal('import_differs', path, {
      detail: { id, table, applied: entry.checksum, found: checksum },
      hint: 'Take the file back as it was applied, and put the change into a new migration.',
    });
  }
  const isBelow = baseline !== undefined && /^V\d/u.test(id) && isUpTo(id.slice(1), baseline);
  const reason = isBelow
    ? 'below_baseline'
    : entry?.state === 'applied'
      ? 'changed_since'
      : (entry?.state ?? 'not_applied');
  return {
    code: 'import_pending',
    severity: 'info',
    subject: path,
    detail: { id, reason },
    hint: 'It is left out: apply it with its tool and adopt again, or write it as a bundle of varve.',
  };
}

/** Applied, and nobody can say what: only where the tool itself has no script for it that is no fault. */
function withoutFile({ id, state, hasFile }: HistoryEntry, table: string): readonly Finding[] {
  if (state === 'undone') return [];
  if (state === 'failed') return [failed(id, { id, table })];
  const hint = hasFile
    ? 'Bring its file back from version control: what was applied cannot be told without it.'
    : 'It was applied by a program and has no script; it stays in the table of its tool.';
  const finding = refusal('import_missing', id, { detail: { table }, hint });
  return [hasFile ? finding : { ...finding, severity: 'info' }];
}

function failed(subject: string, detail: { readonly id: string; readonly table: string }): Finding {
  const hint = 'Settle it with its tool first: half of it may stand in the database.';
  return refusal('import_failed', subject, { detail, hint });
}
