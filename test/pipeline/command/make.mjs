import { text } from 'node:stream/consumers';

const { table, key, reads, now, seed } = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify({ told: { table, key, now, seed, depth: reads.scan.depth } }));
