// Migrates a column in a process of its own, so that a test can kill it: node table-process.ts URL|FILE [now] [connections]
import { sqlStoreOf } from '../../src/cli/document-store.ts';
import { migrateTable, postgresTable, sqliteTable } from '../../src/document/edge/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { noteModel } from './note-type.ts';

const [, , where = '', now = '2026-05-12T00:00:00.000Z', connections = '1'] = process.argv;
await using stack = new AsyncDisposableStack();
const store = where.startsWith('postgres') ? stack.use(await postgresStore({ url: where })) : undefined;
const table =
  store === undefined
    ? sqliteTable({ file: where, table: 'note', column: 'body' })
    : await postgresTable(sqlStoreOf(store), { schema: 'app', table: 'note', column: 'body' });
if (table.status === 'refused') throw new TypeError(JSON.stringify(table));
const result = await migrateTable(noteModel(), table.value, {
  run: 'in a process',
  limits: { quarantined: 1_000 },
  pageSize: 400,
  connections: Number(connections),
  now,
  // The parent learns of each batch and kills whenever it likes.
  onBatch: async (phase) => {
    process.stdout.write(`${phase}\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  },
});
process.stdout.write(`${JSON.stringify(result)}\n`);
