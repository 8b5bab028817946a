import { nearestName, refusal, type Finding, type JsonObject } from '../base/index.ts';
import { KIND_WORDS, validateSchema, type SchemaFault } from '../evidence/index.ts';
import { RULES } from './declaration-rule.ts';
import type { Declaration } from './declaration.ts';
import type { KindName } from './migration-id.ts';
import { parseStrictYaml, type StrictYaml } from './strict-yaml.ts';

/** A declaration, or why it cannot be used; each finding's subject is `migration.yml:<line>:<column>`. */
export type DeclarationReading =
  | { readonly status: 'ok'; readonly declaration: Declaration }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Reads the text of a `migration.yml` whose folder says which id and kind it has. */
export async function readDeclaration(
  text: string,
  expected: { readonly id: string; readonly kind: KindName },
): Promise<DeclarationReading> {
  if (text.length > MAX_TEXT_LENGTH) {
    const hint = 'Put what is long into artifacts.attachments.';
    return refused([fault({ line: 1, column: 1 }, { reason: 'too_long' }, hint)]);
  }
  const yaml = parseStrictYaml(text);
  if ('faults' in yaml) {
    return refused(
      yaml.faults
        .slice(0, MAX_FINDINGS)
        .map(({ line, column, reason }) => fault({ line, column }, { reason }, YAML_HINT)),
    );
  }
  const another = anotherKind(yaml, expected.kind);
  if (another !== undefined) return refused([another]);
  const faults = await validateSchema('migration_declaration.v1', yaml.value);
  if (faults.length > 0)
    return refused(faults.slice(0, MAX_FINDINGS).map((each) => schemaFinding(each, yaml)));
  const declaration = completed(yaml.value as unknown as WrittenDeclaration);
  const findings = RULES.flatMap((rule) => rule(declaration, expected)).map(({ pointer, detail, hint }) =>
    fault(yaml.placeOf(pointer), detail, hint),
  );
  return findings.length > 0 ? refused(findings) : { status: 'ok', declaration };
}

/** More is a mistake or an attack; a reader of YAML needs many times the memory of its text. */
const MAX_TEXT_LENGTH = 256 * 1024;

/** Nobody reads more of one file at a time. */
const MAX_FINDINGS = 50;

const YAML_HINT =
  'Write plain YAML: texts, whole numbers, lists and maps, each key once, no aliases, tags or merges.';

type Place = ReturnType<StrictYaml['placeOf']>;
type WrittenDeclaration = Omit<Declaration, 'artifacts' | 'limits'> & {
  readonly artifacts: Omit<Declaration['artifacts'], 'rollback'> & { readonly rollback?: readonly string[] };
  readonly limits: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
};

function refused(findings: readonly Finding[]): DeclarationReading {
  return { status: 'refused', findings };
}

function fault(place: Place, detail: JsonObject, hint: string): Finding {
  return refusal('declaration_invalid', `migration.yml:${place.line}:${place.column}`, { detail, hint });
}

/** Under the rules of another kind everything else would be wrong as well. */
function anotherKind({ value, placeOf }: StrictYaml, kind: KindName): Finding | undefined {
  const written = typeof value === 'object' && value !== null && 'type' in value ? value['type'] : undefined;
  if (typeof written !== 'string' || written === kind || !Object.hasOwn(KIND_WORDS, written))
    return undefined;
  const hint = `Write type: ${kind}, which the id's prefix stands for.`;
  return fault(placeOf('/type'), { reason: 'type_differs_from_prefix' }, hint);
}

function schemaFinding({ pointer, keyword, rule, known }: SchemaFault, yaml: StrictYaml): Finding {
  const place = yaml.placeOf(pointer);
  const detail = { pointer, keyword, rule };
  if (keyword === 'required' && pointer === '/scope')
    return fault(place, detail, 'Write this list, even when it is empty.');
  if (known.length === 0)
    return fault(place, detail, 'See docs/reference/declaration.md for the fields of migration.yml.');
  const written = pointer.slice(pointer.lastIndexOf('/') + 1);
  const nearest = keyword === 'additionalProperties' ? nearestName(written, known) : undefined;
  const hint =
    nearest === undefined
      ? `Write one of: ${known.join(', ')}.`
      : `Write ${nearest}, or take ${written} out.`;
  return fault(place, detail, hint);
}

/** A declaration with what may be left out. */
function completed(written: WrittenDeclaration): Declaration {
  const { artifacts, limits } = written;
  const flat = Object.entries(limits).flatMap(([name, value]): readonly (readonly [string, number])[] =>
    typeof value === 'number'
      ? [[name, value]]
      : Object.entries(value).map(([part, cap]) => [`${name}.${part}`, cap]),
  );
  return {
    ...written,
    limits: Object.fromEntries(flat),
    artifacts: { ...artifacts, rollback: artifacts.rollback ?? [] },
  };
}
