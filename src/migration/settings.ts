import type { RestrictedArea } from '../evidence/index.ts';
import type { KindName } from './migration-id.ts';

/** The names of environments; others would be an environment without rules. */
export type EnvironmentName = 'dev' | 'stage' | 'prod';

/**
 * How firmly a run is held to its declaration, weakest first; each includes those before it.
 *
 * | level | promise |
 * |---|---|
 * | `checked` | text and plan were checked; the effect is compared afterwards and compensated |
 * | `observed` | the real effect is compared with scope and limits before commit, or before any reader can see it |
 * | `guarded` | protected objects refuse the write at once |
 * | `confined` | the run's credentials cannot reach outside the scope |
 * | `witnessed` | a process that ran no part of the script read the store's own log and agreed before commit |
 */
export const ENFORCEMENT_LEVELS = ['checked', 'observed', 'guarded', 'confined', 'witnessed'] as const;

/** One of the levels of enforcement. */
export type EnforcementLevel = (typeof ENFORCEMENT_LEVELS)[number];

/** What a project says once for all of its migrations. A bundle may tighten it, never loosen it (M27). */
export interface MigrationSettings {
  /** Schemas and `schema.table`s that no bundle touches without scope and an approval that names them (M27). */
  readonly protected: { readonly schemas: readonly string[]; readonly tables: readonly string[] };
  /** Under which rows of protected tables are digested: 32 bytes or more, of this environment alone; never written down (M123). */
  readonly protectedKey?: Uint8Array;
  /** Schemas that no scope may allow, but that of kind `pipeline` (M54). */
  readonly canonicalZones: readonly string[];
  /** Where a position in an authored file is refused; without any, each one wants a review (M125). */
  readonly restrictedAreas?: readonly RestrictedArea[];
  /** Principals by the name of a group, without `group:`. */
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  /** Where a bundle shows a reference in place of the receipt; default prod (M44). */
  readonly receiptsByReference?: readonly EnvironmentName[];
  /** Days for which nothing that a receipt names is taken out of the evidence store; default ten years (M122). */
  readonly retentionDays?: number;
  /** The level below which nothing runs, by kind and environment (M74). */
  readonly minimumLevel: Readonly<
    Partial<Record<KindName, Readonly<Partial<Record<EnvironmentName, EnforcementLevel>>>>>
  >;
  /** From how many on an effect wants a review: rows under a rebuilt index, rows written, nodes and edges (M59). */
  readonly large: { readonly indexRows: number; readonly backfillRows: number; readonly elements: number };
}

/** What holds where a project says nothing. */
export const DEFAULT_SETTINGS: MigrationSettings = {
  protected: { schemas: [], tables: [] },
  canonicalZones: ['RAW', 'WORK', 'PROCESSED', 'CATALOG'],
  minimumLevel: { postgis: { dev: 'observed', stage: 'guarded', prod: 'confined' } },
  large: { indexRows: 1_000_000, backfillRows: 100_000, elements: 10_000 },
};

/** The least level of a kind in an environment; `observed` where nothing is said, and where no text of a bundle runs. */
export function minimumLevel(
  settings: MigrationSettings,
  kind: KindName,
  environment: EnvironmentName,
  direction?: 'forward' | 'rollback' | 'retire',
): EnforcementLevel {
  if (direction === 'retire') return 'observed';
  return settings.minimumLevel[kind]?.[environment] ?? 'observed';
}

/** Whether a level is at least another. */
export function reachesLevel(level: EnforcementLevel, least: EnforcementLevel): boolean {
  return ENFORCEMENT_LEVELS.indexOf(level) >= ENFORCEMENT_LEVELS.indexOf(least);
}
