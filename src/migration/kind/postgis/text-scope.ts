/**
 * Whether the statements of a way back stay in the bundle's scope, by their text alone (R2): what a gate can tell without a
 * database. A name without a schema may stand in any allowed one; a name that may be an index's is held by its schema only.
 */
import { refusal, type Finding } from '../../../base/index.ts';
import type { Bundle } from '../../bundle.ts';
import { scopeFindings } from '../../judge.ts';
import { namedObjects, type NamedObject } from './named.ts';
import { readScripts, subjectOf } from './script.ts';

/** What a way back names out of scope. */
export async function wayBackScopeFindings(bundle: Bundle): Promise<readonly Finding[]> {
  const { scope } = bundle.declaration;
  const { rollback } = await readScripts(bundle);
  const named = namedObjects(rollback.flatMap(({ statements }) => statements));
  const seen = new Set<string>();
  return named.flatMap((each): readonly Finding[] => {
    if (each.kind !== 'relation') return [];
    const { statement, schema, name } = each;
    const schemas = schema === undefined ? scope.allowed_schemas : [schema];
    const isInScope = isTableName(each)
      ? schemas.some((own) => scopeFindings(scope, [`${own}.${name}`]).length === 0)
      : schema === undefined ||
        (scope.allowed_schemas.includes(schema) && !scope.forbidden_schemas.includes(schema));
    const words = schema === undefined ? name : `${schema}.${name}`;
    if (isInScope || seen.has(words)) return [];
    seen.add(words);
    return [
      refusal('scope_violation', words, {
        detail: { rung: 'R2', at: subjectOf(statement.file, statement.place) },
        hint: 'Let the way back keep to the scope of its bundle, or declare this in a new one.',
      }),
    ];
  });
}

const OF_TABLES: readonly string[] = [
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'TruncateStmt',
  'CreateStmt',
  'CreateTableAsStmt',
  'IndexStmt',
];

/** Partitions are in scope through their table, which a text does not tell, so that one of them is held at the plan. */
function isTableName({ statement: { kind, node } }: NamedObject): boolean {
  if (OF_TABLES.includes(kind)) return true;
  if (kind === 'DropStmt') return node.fields['removeType'] === 'OBJECT_TABLE';
  return kind === 'AlterTableStmt' && node.fields['objtype'] === 'OBJECT_TABLE';
}
