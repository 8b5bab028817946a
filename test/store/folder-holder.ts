/**
 * A process of its own for the tests of the embedded folder.
 *
 * `open FOLDER`: opens, prints `open` or the error's code, stays until it is ended.
 * `write FOLDER`: also inserts rows one by one and prints each number once it is committed.
 * `lock FOLDER`: only takes the folder's lock.
 */
import { isVarveError, systemClock } from '../../src/base/index.ts';
import { sql } from '../../src/store/index.ts';
import { lockFolder } from '../../src/store/postgres/folder-lock.ts';
import { embeddedStore } from '../../src/store/postgres/index.ts';

const [mode, folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('no folder');

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function write(path: string): Promise<void> {
  const store = await embeddedStore({ folder: path });
  await store.execute(sql`create table if not exists public.entry (id integer primary key)`);
  say('open');
  for (let id = 1; ; id += 1) {
    await store.transaction({}, (transaction) =>
      transaction.execute(sql`insert into public.entry values (${id})`),
    );
    say(String(id));
  }
}

try {
  if (mode === 'lock') lockFolder(folder, systemClock);
  if (mode === 'open') await embeddedStore({ folder });
  if (mode === 'write') await write(folder);
  say('open');
  setInterval(() => undefined, 1000);
} catch (error) {
  say(isVarveError(error) ? error.code : String(error));
}
