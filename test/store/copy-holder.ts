/** Copies the database at a URL or in a folder, says so, and waits to be killed: `node copy-holder.ts STORE`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedStore, postgresStore } from '../../src/store/postgres/index.ts';

const [, , where = ''] = process.argv;
const store = where.startsWith('postgres')
  ? await postgresStore({ url: where })
  : await embeddedStore({ folder: where });
const copy = await store.copy();
console.log(copy.location);
await sleep(600_000);
