import type { Node } from 'libpg-query';
import { namesOf } from '../../../../../store/index.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';
import { createdTable } from '../relation-name.ts';

export const duplicateColumn: LintRule = {
  code: 'lint_duplicate_column',
  severity: 'error',
  finds: `a column twice in CREATE TABLE, in the columns of a view, in the list of an INSERT, or in the SET of an UPDATE`,
  why: `PostgreSQL refuses the statement.`,
  remedy: `Name each column once.`,
  example: {
    instead: `create table geo.note (note_id bigint, body text, body jsonb);`,
    write: `create table geo.note (note_id bigint, body jsonb);`,
  },
  find,
};

function find({ statement: { node, offsetOf } }: LintView): readonly Hit[] {
  return namedTogether(node).flatMap((columns) => {
    const seen = new Set<string>();
    return columns.flatMap(({ name, location }) => {
      if (name === '' || !seen.has(name)) {
        seen.add(name);
        return [];
      }
      const hit = { subject: name, reason: `the column ${name} is named before` };
      return [location === undefined ? hit : { ...hit, at: offsetOf(location) }];
    });
  });
}

interface Named {
  readonly name: string;
  readonly location?: number | undefined;
}

/** Lists of columns, each of which may name a column once. */
function namedTogether(node: Node): readonly (readonly Named[])[] {
  const table = createdTable(node);
  if (table !== undefined) {
    return [
      (table.tableElts ?? []).flatMap((element) =>
        'ColumnDef' in element
          ? [{ name: element.ColumnDef.colname ?? '', location: element.ColumnDef.location }]
          : [],
      ),
    ];
  }
  if ('ViewStmt' in node) return [namesOf(node.ViewStmt.aliases).map((name) => ({ name }))];
  if ('InsertStmt' in node) {
    return [targets(node.InsertStmt.cols), targets(node.InsertStmt.onConflictClause?.targetList)];
  }
  if ('MergeStmt' in node) {
    return (node.MergeStmt.mergeWhenClauses ?? []).map((clause) =>
      'MergeWhenClause' in clause ? targets(clause.MergeWhenClause.targetList) : [],
    );
  }
  return 'UpdateStmt' in node ? [targets(node.UpdateStmt.targetList)] : [];
}

/** Parts of one column, such as `kinds[1]`, may be set side by side. */
function targets(list: readonly Node[] | undefined): readonly Named[] {
  return (list ?? []).flatMap((each) => {
    if (!('ResTarget' in each) || each.ResTarget.indirection !== undefined) return [];
    return [{ name: each.ResTarget.name ?? '', location: each.ResTarget.location }];
  });
}
