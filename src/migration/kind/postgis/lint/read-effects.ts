import type { Node } from 'libpg-query';
import { alterTableEffects } from './alter-table.ts';
import { LOCK_MODES, type DdlAction } from './ddl-effect.ts';
import type { EffectReading, MakeEffect } from './effect-reading.ts';
import type { Effect } from './effect.ts';
import { listName, relationName } from './relation-name.ts';

/** What a statement does to relations, in the order in which it names them; nothing for one that does no DDL and writes nothing. */
export function readEffects(node: Node, reading: EffectReading): readonly Effect[] {
  const make: MakeEffect = (action, relation, more = {}) => {
    const name = typeof relation === 'string' ? relation : relationName(relation);
    return { action, relation: name, isNew: reading.history.isNew(name), ...more };
  };
  if ('AlterTableStmt' in node) return alterTableEffects(node.AlterTableStmt, reading, make);
  return [...createEffects(node, make), ...dropEffects(node, make), ...upkeepEffects(node, make)];
}

function createEffects(node: Node, make: MakeEffect): readonly Effect[] {
  if ('CreateStmt' in node) return createTableEffects(node, make);
  if ('IndexStmt' in node) {
    const { concurrent, relation, idxname } = node.IndexStmt;
    const action = concurrent === true ? 'create index concurrently' : 'create index';
    return [make(action, relation, named(idxname))];
  }
  if ('CreateTrigStmt' in node) {
    return [make('create trigger', node.CreateTrigStmt.relation, named(node.CreateTrigStmt.trigname))];
  }
  if ('RuleStmt' in node) return [make('create rule', node.RuleStmt.relation, named(node.RuleStmt.rulename))];
  if ('CreatePolicyStmt' in node) return [make('create policy', node.CreatePolicyStmt.table)];
  if ('AlterPolicyStmt' in node) return [make('create policy', node.AlterPolicyStmt.table)];
  if ('ViewStmt' in node && node.ViewStmt.replace === true) return [make('replace view', node.ViewStmt.view)];
  if ('CreateStatsStmt' in node) {
    return (node.CreateStatsStmt.relations ?? []).map((relation) =>
      make('create statistics', listName(relation)),
    );
  }
  return [];
}

function createTableEffects(
  { CreateStmt: table }: Extract<Node, { CreateStmt: unknown }>,
  make: MakeEffect,
): readonly Effect[] {
  const elements = table.tableElts ?? [];
  const constraints = elements.flatMap((element) => {
    if ('Constraint' in element) return [element.Constraint];
    if (!('ColumnDef' in element)) return [];
    return (element.ColumnDef.constraints ?? []).flatMap((each) =>
      'Constraint' in each ? [each.Constraint] : [],
    );
  });
  const parents = (table.inhRelations ?? []).map((parent) =>
    make(
      table.partbound === undefined ? 'create child (other)' : 'create partition (other)',
      listName(parent),
    ),
  );
  const referred = constraints.flatMap(({ contype, pktable }) =>
    contype === 'CONSTR_FOREIGN' && relationName(pktable) !== relationName(table.relation)
      ? [make('create table referring (other)', pktable)]
      : [],
  );
  return [...parents, ...referred];
}

const DROPS: Readonly<Partial<Record<string, DdlAction>>> = {
  OBJECT_TABLE: 'drop table',
  OBJECT_FOREIGN_TABLE: 'drop table',
  OBJECT_MATVIEW: 'drop table',
  OBJECT_VIEW: 'drop view',
};
/** Their last part is their own name, the rest names the table. */
const DROPPED_FROM_A_TABLE: readonly (string | undefined)[] = [
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
];

function dropEffects(node: Node, make: MakeEffect): readonly Effect[] {
  if ('TruncateStmt' in node) {
    return (node.TruncateStmt.relations ?? []).map((relation) => make('truncate', listName(relation)));
  }
  if ('RenameStmt' in node) return renameEffects(node, make);
  if ('AlterObjectSchemaStmt' in node) {
    const { relation } = node.AlterObjectSchemaStmt;
    return relation === undefined ? [] : [make('set schema', relation)];
  }
  if (!('DropStmt' in node)) return [];
  const { removeType = 'OBJECT_TABLE', objects = [], concurrent } = node.DropStmt;
  return objects.flatMap((object) => {
    const name = listName(object);
    if (removeType === 'OBJECT_INDEX') {
      return [make(concurrent === true ? 'drop index concurrently' : 'drop index', name)];
    }
    if (DROPPED_FROM_A_TABLE.includes(removeType)) {
      const dot = name.lastIndexOf('.');
      return [make('drop trigger, rule or policy', name.slice(0, dot), { what: name.slice(dot + 1) })];
    }
    const action = DROPS[removeType];
    return action === undefined ? [] : [make(action, name)];
  });
}

const RENAMED_RELATIONS: readonly (string | undefined)[] = [
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FOREIGN_TABLE',
];

function renameEffects(
  { RenameStmt: rename }: Extract<Node, { RenameStmt: unknown }>,
  make: MakeEffect,
): readonly Effect[] {
  const { relation, renameType, subname } = rename;
  if (relation === undefined) return [];
  if (renameType === 'OBJECT_COLUMN') return [make('rename column', relation, named(subname))];
  if (renameType === 'OBJECT_INDEX') return [make('rename index', relation)];
  if (RENAMED_RELATIONS.includes(renameType)) return [make('rename', relation)];
  // A constraint, trigger, rule or policy: nobody reads it by its name, but its table is locked.
  return renameType === 'OBJECT_SEQUENCE' ? [] : [make('other alter table', relation, named(subname))];
}

function upkeepEffects(node: Node, make: MakeEffect): readonly Effect[] {
  if ('ClusterStmt' in node) return [make('cluster', node.ClusterStmt.relation)];
  if ('VacuumStmt' in node) return vacuumEffects(node, make);
  if ('ReindexStmt' in node) return reindexEffects(node, make);
  if ('RefreshMatViewStmt' in node) {
    const { concurrent, relation } = node.RefreshMatViewStmt;
    const action =
      concurrent === true ? 'refresh materialized view concurrently' : 'refresh materialized view';
    return [make(action, relation)];
  }
  if ('LockStmt' in node) {
    // Modes are numbered from 1, the weakest.
    const lock = LOCK_MODES[(node.LockStmt.mode ?? LOCK_MODES.length) - 1] ?? 'ACCESS EXCLUSIVE';
    return (node.LockStmt.relations ?? []).map((relation) =>
      make('write rows', listName(relation), { lock, what: 'lock' }),
    );
  }
  if ('CommentStmt' in node) return commentEffects(node, make);
  if ('UpdateStmt' in node) return [make('write rows', node.UpdateStmt.relation)];
  if ('DeleteStmt' in node) return [make('write rows', node.DeleteStmt.relation)];
  if ('InsertStmt' in node) return [make('write rows', node.InsertStmt.relation)];
  if ('MergeStmt' in node) return [make('write rows', node.MergeStmt.relation)];
  if ('CopyStmt' in node && node.CopyStmt.is_from === true)
    return [make('write rows', node.CopyStmt.relation)];
  return [];
}

function vacuumEffects(
  { VacuumStmt: vacuum }: Extract<Node, { VacuumStmt: unknown }>,
  make: MakeEffect,
): readonly Effect[] {
  const action =
    vacuum.is_vacuumcmd !== true ? 'analyze' : isOn(vacuum.options, 'full') ? 'vacuum full' : 'vacuum';
  const relations = (vacuum.rels ?? []).flatMap((rel) =>
    'VacuumRelation' in rel ? [relationName(rel.VacuumRelation.relation)] : [],
  );
  return (relations.length === 0 ? ['every table'] : relations).map((relation) => make(action, relation));
}

function reindexEffects(
  { ReindexStmt: reindex }: Extract<Node, { ReindexStmt: unknown }>,
  make: MakeEffect,
): readonly Effect[] {
  const named =
    reindex.relation === undefined ? (reindex.name ?? 'database') : relationName(reindex.relation);
  if (isOn(reindex.params, 'concurrently')) return [make('reindex concurrently', named)];
  return [make(reindex.kind === 'REINDEX_OBJECT_INDEX' ? 'reindex index' : 'reindex table', named)];
}

/** Whether an option such as `(full)` or `(full true)` is there and not off. */
export function isOn(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((option) => {
    if (!('DefElem' in option) || option.DefElem.defname !== name) return false;
    const value = JSON.stringify(option.DefElem.arg ?? {});
    return !/"(?:off|false|no|0)"|"boolval":\{\}|"ival":\{\}/.test(value);
  });
}

function commentEffects(
  { CommentStmt: comment }: Extract<Node, { CommentStmt: unknown }>,
  make: MakeEffect,
): readonly Effect[] {
  const name = listName(comment.object);
  if (comment.objtype === 'OBJECT_TABLE') return [make('comment', name)];
  return comment.objtype === 'OBJECT_COLUMN' ? [make('comment', name.slice(0, name.lastIndexOf('.')))] : [];
}

function named(what: string | undefined): { readonly what?: string } {
  return what === undefined ? {} : { what };
}
