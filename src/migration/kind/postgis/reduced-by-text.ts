/**
 * What lets more in than before, as far as the text of a script says it (M59): told before anything runs, so that whoever has to
 * sign sees it in the plan. What no text says, such as dynamic SQL, is found by the state before and after (`access.ts`).
 */
import type { Finding } from '../../../base/index.ts';
import { fieldsOf, isTree, listOf, namesOf, textOf, type Tree } from '../../../store/index.ts';
import { policyReduced, type AccessState } from './access.ts';
import type { Statement } from './script.ts';

/** What of it is there already; what a script makes itself reduces nothing, but a function that acts as its owner. */
export interface AccessNow {
  readonly access: AccessState;
  /** The schemas in which a name without one is looked for. */
  readonly path: readonly string[];
}

/** The findings, one an object, with the names and reasons that the state before and after would give. */
export function reducedByText(statements: readonly Statement[], now: AccessNow): readonly Finding[] {
  const found = statements.flatMap(({ kind, node }) => READERS[kind]?.(node.fields, now) ?? []);
  const byName = Map.groupBy(found, ([name]) => name);
  return [...byName]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, each]) => policyReduced(name, [...new Set(each.map(([, reason]) => reason))].toSorted()));
}

type Reduced = readonly (readonly [name: string, reason: string])[];
type Reader = (fields: Tree, now: AccessNow) => Reduced;

const OF_TABLE: Readonly<Record<string, string>> = {
  AT_DisableRowSecurity: 'row_security_off',
  AT_NoForceRowSecurity: 'row_security_off',
  AT_ChangeOwner: 'owner_changed',
};

const READERS: Readonly<Record<string, Reader>> = {
  AlterTableStmt: (fields, now) => {
    const names = known(rangeNames(fields['relation']), 'relation', now);
    const reasons = listOf(fields['cmds']).flatMap(
      (each) => OF_TABLE[textOf(fieldsOf(each, 'AlterTableCmd')?.['subtype'])] ?? [],
    );
    return names.flatMap((name) =>
      reasons
        .filter((reason) => reason !== 'row_security_off' || isGuarded(name, now))
        .map((reason) => [name, reason] as const),
    );
  },
  DropStmt: (fields, now) =>
    textOf(fields['removeType']) !== 'OBJECT_POLICY'
      ? []
      : listOf(fields['objects']).flatMap((object) =>
          because(
            'policy_dropped',
            known(namesOf(fieldsOf(object, 'List')?.['items']).slice(0, -1), 'relation', now),
          ),
        ),
  AlterPolicyStmt: (fields, now) =>
    because('policy_changed', known(rangeNames(fields['table']), 'relation', now)),
  CreatePolicyStmt: (fields, now) =>
    fields['permissive'] !== true
      ? []
      : because(
          'policy_added',
          known(rangeNames(fields['table']), 'relation', now).filter((name) => isGuarded(name, now)),
        ),
  GrantStmt: (fields, now) =>
    fields['is_grant'] === true ? because('wider_grant', grantedNames(fields, now)) : [],
  AlterOwnerStmt: (fields, now) => {
    const object = fieldsOf(fields['object'], 'ObjectWithArgs');
    if (object !== undefined)
      return because('owner_changed', known(namesOf(object['objname']), 'function', now));
    const name = textOf(fieldsOf(fields['object'], 'String')?.['sval']);
    return because('owner_changed', known([name], 'schema', now));
  },
  CreateFunctionStmt: (fields, { path }) =>
    isDefiner(fields['options'])
      ? because('definer_function', fullNames(namesOf(fields['funcname']), path).slice(0, 1))
      : [],
  AlterFunctionStmt: (fields, now) => {
    const func = isTree(fields['func']) ? fields['func'] : {};
    return isDefiner(fields['actions'])
      ? because('definer_function', known(namesOf(func['objname']), 'function', now))
      : [];
  },
};

function because(reason: string, names: readonly string[]): Reduced {
  return names.map((name) => [name, reason] as const);
}

/** Those of these names that are there, as `schema.name`. */
function known(
  names: readonly string[],
  kind: 'relation' | 'schema' | 'function',
  { access, path }: AccessNow,
): readonly string[] {
  const there = new Set([...access.values()].flatMap((each) => (each.kind === kind ? [each.name] : [])));
  const candidates = kind === 'schema' ? names.slice(-1) : fullNames(names, path);
  return candidates.filter((name) => there.has(name)).slice(0, 1);
}

function fullNames(names: readonly string[], path: readonly string[]): readonly string[] {
  const name = names.at(-1) ?? '';
  const schema = names.at(-2);
  return (schema === undefined ? path : [schema]).map((each) => `${each}.${name}`);
}

/** A relation as the parser gives it where its place says that it is one. */
function rangeNames(relation: unknown): readonly string[] {
  if (!isTree(relation)) return [];
  const fields = fieldsOf(relation, 'RangeVar') ?? relation;
  const schema = textOf(fields['schemaname']);
  return [...(schema === '' ? [] : [schema]), textOf(fields['relname'])];
}

function isGuarded(name: string, { access }: AccessNow): boolean {
  return [...access.values()].some(
    (each) => each.kind === 'relation' && each.name === name && each.rule.includes('guarded'),
  );
}

function grantedNames(fields: Tree, now: AccessNow): readonly string[] {
  const kind = textOf(fields['objtype']);
  const objects = listOf(fields['objects']);
  if (textOf(fields['targtype']) === 'ACL_TARGET_ALL_IN_SCHEMA') {
    const schemas = objects.map((object) => textOf(fieldsOf(object, 'String')?.['sval']));
    const word = ['OBJECT_TABLE', 'OBJECT_SEQUENCE'].includes(kind) ? 'relation' : 'function';
    return [...now.access.values()].flatMap((each) =>
      each.kind === word && schemas.includes(each.name.slice(0, each.name.indexOf('.'))) ? [each.name] : [],
    );
  }
  return objects.flatMap((object) => {
    if (kind === 'OBJECT_SCHEMA') return known([textOf(fieldsOf(object, 'String')?.['sval'])], 'schema', now);
    const routine = fieldsOf(object, 'ObjectWithArgs');
    if (routine !== undefined) return known(namesOf(routine['objname']), 'function', now);
    return known(rangeNames(object), 'relation', now);
  });
}

function isDefiner(options: unknown): boolean {
  return listOf(options).some((each) => {
    const option = fieldsOf(each, 'DefElem');
    return option?.['defname'] === 'security' && fieldsOf(option['arg'], 'Boolean')?.['boolval'] === true;
  });
}
