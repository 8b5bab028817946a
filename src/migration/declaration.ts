import { refusal, type Finding, type Json } from '../base/index.ts';
import { validateSchema } from '../evidence/index.ts';
import type { KindName } from './migration-id.ts';
import { parseStrictYaml, type StrictYaml } from './strict-yaml.ts';

/** Which objects may be touched; forbidden wins (M15, M16). Each `allowed_x` has a `forbidden_x`. */
export interface Scope extends Readonly<Record<string, readonly string[]>> {
  readonly allowed_schemas: readonly string[];
  readonly allowed_tables: readonly string[];
  readonly forbidden_schemas: readonly string[];
  readonly forbidden_tables: readonly string[];
}

/** One step of a bundle, in the order of the list. */
export interface Phase {
  /** One of `artifacts.forward`. */
  readonly file: string;
  readonly mode: 'transactional' | 'nontransactional';
  /** A query that gives `done`, `absent` or `partial`; where it is left out, the kind asks by the parsed statement. */
  readonly check?: string;
  /** The statement that takes a partial effect away; where it is left out, the kind knows it by the parsed statement. */
  readonly compensate?: string;
}

/** A query whose one value has to be this one, beside the checks of the store itself. */
export interface Invariant {
  readonly name: string;
  readonly query: string;
  readonly expect: string | number | boolean | null;
}

/** The content of `migration.yml`, with the names it has there. */
export interface Declaration {
  readonly migration_id: string;
  readonly type: KindName;
  readonly intent: string;
  readonly store?: string;
  readonly scope: Scope;
  /** An absent limit is 0 (M22). */
  readonly limits: Readonly<Record<string, number>>;
  readonly requires_rollback: boolean;
  readonly artifacts: {
    readonly forward: readonly string[];
    readonly rollback: readonly string[];
    readonly attachments?: readonly string[];
  };
  /** Default: all forward files in one transaction. */
  readonly phases?: readonly Phase[];
  /** Constructs that are refused unless they are named here, such as `dynamic_sql`. */
  readonly statements?: readonly string[];
  readonly invariants?: readonly Invariant[];
  readonly after?: readonly string[];
  readonly supersedes?: readonly string[];
}

/** A declaration, or why it cannot be used; each finding's subject is `migration.yml:<line>:<column>`. */
export type DeclarationReading =
  | { readonly status: 'ok'; readonly declaration: Declaration }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Reads the text of a `migration.yml` whose folder says which id and kind it has. */
export async function readDeclaration(
  text: string,
  expected: { readonly id: string; readonly kind: KindName },
): Promise<DeclarationReading> {
  const yaml = parseStrictYaml(text);
  if ('faults' in yaml) {
    const findings = yaml.faults.map(({ line, column, reason }) =>
      fault({ line, column }, { reason }, YAML_HINT),
    );
    return { status: 'refused', findings };
  }
  const faults = await validateSchema('migration_declaration.v1', yaml.value);
  const findings = faults.map(({ pointer, rule }) =>
    fault(yaml.placeOf(pointer), { pointer, rule }, SCHEMA_HINT),
  );
  if (findings.length > 0) return { status: 'refused', findings };
  const declaration = yaml.value as unknown as Declaration;
  findings.push(...nameFindings(declaration, expected, yaml), ...scopeFindings(declaration, yaml));
  return findings.length > 0 ? { status: 'refused', findings } : { status: 'ok', declaration };
}

const YAML_HINT =
  'Write plain YAML: texts, whole numbers, lists and maps, each key once, no aliases, tags or merges.';
const SCHEMA_HINT = 'See docs/reference for the fields of migration.yml.';

type Place = ReturnType<StrictYaml['placeOf']>;

function fault(place: Place, detail: Readonly<Record<string, Json>>, hint: string): Finding {
  return refusal('declaration_invalid', `migration.yml:${place.line}:${place.column}`, { detail, hint });
}

function nameFindings(
  declaration: Declaration,
  expected: { readonly id: string; readonly kind: KindName },
  yaml: StrictYaml,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (declaration.migration_id !== expected.id) {
    const hint = `Write migration_id: ${expected.id}, the name of the folder.`;
    findings.push(fault(yaml.placeOf('/migration_id'), { reason: 'id_differs_from_folder' }, hint));
  }
  if (declaration.type !== expected.kind) {
    const hint = `Write type: ${expected.kind}, which the id's prefix stands for.`;
    findings.push(fault(yaml.placeOf('/type'), { reason: 'type_differs_from_prefix' }, hint));
  }
  return findings;
}

function scopeFindings({ scope, type }: Declaration, yaml: StrictYaml): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (pointer: string, detail: Readonly<Record<string, Json>>, hint: string): void => {
    findings.push(fault(yaml.placeOf(pointer), detail, hint));
  };
  for (const key of REQUIRED_SCOPE[type] ?? []) {
    if (scope[key] === undefined)
      add('/scope', { reason: 'scope_incomplete', key }, `Write scope.${key}, even when it is empty.`);
  }
  for (const [key, names] of Object.entries(scope)) {
    names.forEach((name, index) => {
      const pointer = `/scope/${key}/${index}`;
      if (/[*%?]/u.test(name))
        add(
          pointer,
          { reason: 'wildcard', key },
          'Name each object: a wildcard allows what nobody has seen.',
        );
      if (!key.startsWith('allowed_')) return;
      if (name === 'varve' || name.startsWith('varve.'))
        add(pointer, { reason: 'own_catalog' }, 'No scope can allow schema varve.');
      if (scope[key.replace('allowed_', 'forbidden_')]?.includes(name) === true) {
        add(pointer, { reason: 'allowed_and_forbidden', name }, 'Take the name out of one of the two lists.');
      }
    });
  }
  return findings;
}

const TABLES = ['allowed_schemas', 'allowed_tables', 'forbidden_schemas', 'forbidden_tables'];
/** The lists that have to be written, empty or not (M14). */
const REQUIRED_SCOPE: Readonly<Partial<Record<KindName, readonly string[]>>> = {
  postgis: TABLES,
  pipeline: TABLES,
};
