/** `FOLDER SPACE`: puts one object after the other until it is killed, and says so once the first is there. */
import { randomBytes } from 'node:crypto';
import { objectSettings, openObjects } from '../../src/store/object/index.ts';

const [folder, space] = process.argv.slice(2);
if (folder === undefined || space === undefined) throw new Error('no folder');
const objects = await openObjects(objectSettings({ folder }, space));

async function* pieces(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < 40; at += 1) yield randomBytes(100_000);
}

for (let count = 0; ; count += 1) {
  await objects.put(pieces());
  if (count === 0) console.log('started');
}
