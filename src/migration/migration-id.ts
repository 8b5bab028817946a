/** The kinds of a migration: what its folder, its prefix and its declaration's keys follow from. */
export type KindName = 'postgis' | 'search' | 'graph' | 'pipeline' | 'document' | 'replica' | 'other';

/** The prefix of each kind's migration ids (M2). */
export const KIND_PREFIXES: Readonly<Record<KindName, string>> = {
  postgis: 'PG',
  search: 'SEARCH',
  graph: 'GRAPH',
  pipeline: 'PIPE',
  document: 'DOC',
  replica: 'REPLICA',
  other: 'OTHER',
};

/** The parts of a migration id. */
export interface MigrationId {
  readonly kind: KindName;
  /** `YYYY-MM-DD`, a day of the calendar. */
  readonly date: string;
  readonly number: number;
}

/** The parts of an id, or undefined when it is none: wrong shape, no day of the calendar, number 00. */
export function parseMigrationId(id: string): MigrationId | undefined {
  const match = /^([A-Z]+)-MIG-(\d{4}-\d{2}-\d{2})-(\d{2})$/u.exec(id);
  const [, prefix, date, number] = match ?? [];
  const kind = (Object.keys(KIND_PREFIXES) as KindName[]).find((name) => KIND_PREFIXES[name] === prefix);
  if (kind === undefined || date === undefined || !isDay(date) || Number(number) < 1) return undefined;
  return { kind, date, number: Number(number) };
}

/**
 * The next free id of a day, or undefined when its 99 are used up. All kinds share a day's numbers: bundles run by day and
 * number (M8), so a new one comes behind every other that was taken before it.
 */
export function nextMigrationId(kind: KindName, date: string, taken: readonly string[]): string | undefined {
  const numbers = taken.flatMap((id) => {
    const parts = parseMigrationId(id);
    return parts?.date === date ? [parts.number] : [];
  });
  const next = Math.max(0, ...numbers) + 1;
  return next > 99 ? undefined : `${KIND_PREFIXES[kind]}-MIG-${date}-${String(next).padStart(2, '0')}`;
}

/** Bundles run by date, then number, then prefix (M8). */
export function compareMigrationIds(left: string, right: string): number {
  const [a, b] = [orderOf(left), orderOf(right)];
  return a < b ? -1 : a > b ? 1 : 0;
}

function orderOf(id: string): string {
  const parts = parseMigrationId(id);
  return parts === undefined ? id : `${parts.date} ${String(parts.number).padStart(2, '0')} ${id}`;
}

function isDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00.000Z`);
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(date);
}
