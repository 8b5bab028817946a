/** `fill DISK`: writes until the disk is full, then gives it room and opens again. `create DISK`: finds no room at all. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isVarveError } from '../../src/base/index.ts';
import { sql } from '../../src/store/index.ts';
import { embeddedStore } from '../../src/store/postgres/index.ts';

const [mode, disk] = process.argv.slice(2);
if (disk === undefined) throw new Error('no disk');
const folder = join(disk, 'lab.db');

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'no error';
  } catch (error) {
    return isVarveError(error) ? error.code : String(error);
  }
}

async function fill(): Promise<void> {
  const store = await embeddedStore({ folder });
  await store.execute(sql`create table public.entry (text text)`);
  let rows = 0;
  const insert = async (): Promise<void> => {
    for (;;) {
      await store.transaction({}, (transaction) =>
        transaction.execute(
          sql`insert into public.entry select repeat(md5(n::text), 20) from generate_series(1, 1000) n`,
        ),
      );
      rows += 1000;
    }
  };
  console.log(await codeOf(insert));
  console.log(await codeOf(() => store.query(sql`select 1`)));
  await store[Symbol.asyncDispose]();
  execFileSync('mount', ['-o', 'remount,size=200m', disk as string]);
  const again = await embeddedStore({ folder });
  const [row] = await again.query<{ rows: number }>(sql`select count(*)::int4 as rows from public.entry`);
  await again[Symbol.asyncDispose]();
  console.log(row?.rows === rows ? 'reopened with all rows' : `reopened with ${row?.rows} of ${rows} rows`);
}

if (mode === 'fill') await fill();
else {
  console.log(await codeOf(() => embeddedStore({ folder })));
  console.log(`left: ${readdirSync(disk).join(' ')}`.trim());
}
