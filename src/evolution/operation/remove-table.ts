/** A table that is defined no more goes to history whole; the way back brings it again. */
import { refusal } from '../../base/index.ts';
import { loadRelations, relationOf, type Relation } from '../../pipeline/index.ts';
import { homeOf } from '../home.ts';
import { restoreOwnKeys } from '../own-keys.ts';
import { sql } from '../../store/index.ts';
import { words } from '../change/change.ts';
import { countRows } from '../count-rows.ts';
import { dependents, dropReadViews } from '../dependents.ts';
import { dropIncoming, incomingKeys } from '../foreign-keys.ts';
import { isDefined, ownerOf } from '../hand-made/judge.ts';
import { addForeignKeys } from '../rebuild/complete.ts';
import { move, retire, retiredRows } from '../retire.ts';
import { asPlanned, counts, type OperationVerbs, type RemoveTable } from './operation.ts';

/** See the header. */
export const removeTable: OperationVerbs<RemoveTable> = {
  kind: 'remove_table',
  describe: ({ table }) => words('remove', table),
  plan: async ({ table }, { transaction, relations }) => {
    const relation = relationOf(relations, table);
    const incoming = await incomingKeys(transaction, relation.placement);
    const outside = incoming.filter((key) => {
      const child = ownerOf(relations, key);
      return child === undefined || !isDefined(child, key, table);
    });
    return {
      tables: [counts(table, { retire: await countRows(transaction, relation.placement) })],
      findings: [
        ...(await dependents(transaction, relation)),
        ...outside.map((key) =>
          refusal('dependents_in_the_way', table, {
            detail: { kind: 'foreign key', name: `${key.schema}.${key.table}` },
            hint: `Drop the foreign key of ${key.schema}.${key.table} first: the table that it leads to would be gone.`,
          }),
        ),
      ],
      bound: { relation: relation.id },
    };
  },
  planBack: async ({ table }, { transaction }) => {
    const [row] = await transaction.query<{ schema: string; name: string }>(sql`
      select physical_schema as schema, physical_name as name from varve.relation
      where name = ${table} and state = 'retired' order by id desc limit 1`);
    const rows =
      row === undefined ? 0 : await countRows(transaction, { schema: row.schema, table: row.name });
    return [counts(table, { keep: rows })];
  },
  leave: async ({ table }, { context }, transaction) => {
    const relation = relationOf(await loadRelations(transaction), table);
    await dropReadViews(transaction, relation.placement);
    await dropIncoming(transaction, await incomingKeys(transaction, relation.placement));
    await retire(transaction, relation, context.runId);
    return [];
  },
  observe: async ({ table }, { context, held }, transaction) => {
    if (context.direction === 'forward') {
      const planned = context.tables.find((each) => each.table === table) ?? counts(table);
      const found = counts(table, { retire: await retiredRows(transaction, table, context.runId) });
      return [asPlanned(planned, found)];
    }
    const relation = relationOf(held, table);
    return [counts(table, { keep: await countRows(transaction, relation.placement) })];
  },
  enterBack: async ({ table }, { context }, transaction) => {
    const [row] = await transaction.query<{
      id: number;
      spec: Relation['spec'];
      schema: string;
      name: string;
    }>(sql`
      select id, spec, physical_schema as schema, physical_name as name from varve.relation
      where name = ${table} and state = 'retired' and until_run = ${context.forward?.runId ?? ''}`);
    if (row === undefined) {
      return [
        refusal('structure_missing', table, {
          hint: 'The old structure was let go: there is nothing to go back to.',
        }),
      ];
    }
    const placement = await homeOf(transaction, table);
    await transaction.execute(sql`create schema if not exists ${sql.id(placement.schema)}`);
    await move(transaction, { schema: row.schema, table: row.name }, placement);
    await transaction.execute(sql`
      update varve.relation set state = 'live', physical_schema = ${placement.schema}, physical_name = ${placement.table},
        until_run = null, until_at = null where id = ${row.id}`);
    return [];
  },
  joinBack: async ({ table }, { from }, transaction) => {
    const live = await loadRelations(transaction);
    const { id, spec: known, placement } = relationOf(live, table);
    if (await restoreOwnKeys(transaction, { id, placement })) return [];
    const spec = from.tables.find(({ name }) => name === table) ?? known;
    await addForeignKeys(
      transaction,
      { ...spec, foreignKeys: spec.foreignKeys.map((key) => ({ ...key, unique: false })) },
      placement,
      live,
    );
    return [];
  },
};
