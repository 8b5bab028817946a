/** The member `migrations` of a configuration. */
import type { Finding } from '../base/index.ts';
import type { EnforcementLevel, MigrationSettings } from '../migration/index.ts';
import type { MigrationsConfig } from '../pipeline/index.ts';
import { invalid, isObject, unknownMember } from './config-finding.ts';

/** What a configuration says about migrations, completed by what holds where it says nothing. */
export function migrationSettings(
  config: MigrationsConfig | undefined,
  defaults: MigrationSettings,
): MigrationSettings {
  if (config === undefined) return defaults;
  const { minimumLevel: levels = {}, large = {}, protected: guarded = {}, ...own } = config;
  const kinds = new Set([...Object.keys(defaults.minimumLevel), ...Object.keys(levels)]) as Set<
    keyof typeof levels
  >;
  return {
    ...defaults,
    ...own,
    protected: { ...defaults.protected, ...guarded },
    large: { ...defaults.large, ...large },
    minimumLevel: Object.fromEntries(
      [...kinds].map((kind) => [kind, { ...defaults.minimumLevel[kind], ...levels[kind] }]),
    ),
  };
}

/** Written out, for the area that defines them is not loaded before a migration runs. */
const LEVELS: readonly EnforcementLevel[] = ['checked', 'observed', 'guarded', 'confined', 'witnessed'];

type Check = (value: unknown) => string | undefined;

const CHECKS: Readonly<Record<keyof MigrationsConfig, Check>> = {
  protected: (value) => membersFault(value, { schemas: namesFault, tables: tableNamesFault }),
  canonicalZones: namesFault,
  restrictedAreas: (value) => listFault(value, areaFault),
  required: (value) => membersFault(value, { constraints: partNamesFault, geometries: geometriesFault }),
  groups: groupsFault,
  minimumLevel: (value) =>
    membersFault(value, Object.fromEntries(KIND_NAMES.map((kind) => [kind, levelsFault]))),
  large: (value) =>
    membersFault(value, {
      indexRows: largeFault(1_000_000),
      backfillRows: largeFault(100_000),
      elements: largeFault(10_000),
    }),
};

const KIND_NAMES = ['postgis', 'search', 'graph', 'pipeline', 'document', 'replica', 'other'] as const;

const EXAMPLE =
  "Write migrations: { protected: { schemas: ['audit'], tables: ['app.person'] }, groups: { data: ['user:eve'] } }.";

/** What is wrong in the member `migrations`. */
export function checkMigrations(value: unknown, filePath: string): readonly Finding[] {
  if (!isObject(value)) return [invalid(filePath, 'migrations has no members', EXAMPLE)];
  return Object.entries(value).flatMap(([name, member]) => {
    if (!isKnown(name)) return [unknownMember(filePath, name, 'migrations', Object.keys(CHECKS))];
    const reason = member === undefined ? undefined : CHECKS[name](member);
    return reason === undefined ? [] : [invalid(filePath, `migrations.${name} ${reason}`, HINTS[name])];
  });
}

function isKnown(name: string): name is keyof MigrationsConfig {
  return Object.hasOwn(CHECKS, name);
}

const HINTS: Readonly<Record<keyof MigrationsConfig, string>> = {
  protected: "Write protected: { schemas: ['audit'], tables: ['app.person'] }.",
  canonicalZones: "Write canonicalZones: ['RAW', 'WORK'].",
  restrictedAreas: "Write restrictedAreas: [{ name: 'site', west: 7, south: 46, east: 8, north: 47 }].",
  required:
    "Write required: { constraints: ['app.site.site_code_key'], geometries: [{ column: 'app.site.place', srid: 4326 }] }.",
  groups: "Write groups: { data: ['user:eve', 'user:ada'] } and group:data under required_reviewers.",
  minimumLevel: `Write minimumLevel: { postgis: { prod: 'confined' } } with one of: ${LEVELS.join(', ')}.`,
  large: 'Write large: { backfillRows: 50_000 }; a limit may be lowered, never raised.',
};

function membersFault(value: unknown, members: Readonly<Record<string, Check>>): string | undefined {
  if (!isObject(value)) return 'has no members';
  for (const [name, member] of Object.entries(value)) {
    const check = Object.hasOwn(members, name) ? members[name] : undefined;
    if (check === undefined) return `has a member ${name} that nothing reads`;
    const fault = check(member);
    if (fault !== undefined) return `.${name} ${fault}`;
  }
  return undefined;
}

function listFault(value: unknown, check: Check): string | undefined {
  if (!Array.isArray(value)) return 'is no list';
  return value.map((item) => check(item)).find((fault) => fault !== undefined);
}

function namesFault(value: unknown): string | undefined {
  return listFault(value, (name) =>
    typeof name === 'string' && name !== '' && !/[*%?]/u.test(name)
      ? undefined
      : 'names something without a name',
  );
}

function tableNamesFault(value: unknown): string | undefined {
  return listFault(value, (name) =>
    typeof name === 'string' && /^[^.*]+\.[^.*]+$/u.test(name)
      ? undefined
      : 'names a table without its schema',
  );
}

function partNamesFault(value: unknown): string | undefined {
  return listFault(value, (name) =>
    isPartName(name) ? undefined : 'names something without its schema and table',
  );
}

function geometriesFault(value: unknown): string | undefined {
  return listFault(value, (item) =>
    isObject(item) &&
    Object.keys(item).length === 2 &&
    isPartName(item['column']) &&
    Number.isSafeInteger(item['srid']) &&
    Number(item['srid']) >= 0
      ? undefined
      : 'has a geometry without its column and srid',
  );
}

function isPartName(name: unknown): boolean {
  return typeof name === 'string' && /^[^.*]+\.[^.*]+\.[^.*]+$/u.test(name);
}

function groupsFault(value: unknown): string | undefined {
  if (!isObject(value)) return 'has no members';
  if (Object.hasOwn(value, 'approvers')) return 'defines the group approvers, which is everyone of that role';
  return Object.values(value)
    .map((members) =>
      Array.isArray(members) && members.length === 0 ? 'has a group of nobody' : namesFault(members),
    )
    .find((fault) => fault !== undefined);
}

function levelsFault(value: unknown): string | undefined {
  const levels = { dev: levelFault, stage: levelFault, prod: levelFault };
  return membersFault(value, levels);
}

function levelFault(value: unknown): string | undefined {
  return LEVELS.some((level) => level === value) ? undefined : 'is no level';
}

/** What is large may become less, never more (M59). */
function largeFault(most: number): Check {
  return (value) =>
    Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most
      ? undefined
      : `is no whole number from 1 to ${most}`;
}

const SIDES = ['west', 'south', 'east', 'north'] as const;

function areaFault(value: unknown): string | undefined {
  if (!isObject(value) || typeof value['name'] !== 'string') return 'has an area without a name';
  const isBox = SIDES.every((side) => Number.isFinite(value[side])) && Object.keys(value).length === 5;
  return isBox &&
    Number(value['south']) <= Number(value['north']) &&
    Number(value['west']) <= Number(value['east'])
    ? undefined
    : 'has an area that is no box of degrees';
}
