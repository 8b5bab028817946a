// Migrates a file in a process of its own, so that a test can kill it: node migrate-process.ts IN OUT [resume]
import { setTimeout as wait } from 'node:timers/promises';
import { defineDocument, op, step } from '../../src/document/index.ts';
import { migrateFile } from '../../src/document/edge/index.ts';

const [, , input = '', out = '', mode = ''] = process.argv;
const type = defineDocument('note', {
  schema: { type: 'object', required: ['name'] },
  current: '2',
  version: { missing: '1', order: 'integer' },
  versions: { '1': {}, '2': {} },
  steps: [step('1', '2', [op.rename('/title', 'name'), op.remove('/draft')])],
});
const model = type.model();
if (model.status === 'refused') throw new TypeError(JSON.stringify(model));
const result = await migrateFile(model.value, input, out, {
  resume: mode === 'resume',
  maxQuarantined: 1_000,
  batchBytes: 20_000,
  now: mode === 'resume' ? '2027-01-01T00:00:00.000Z' : '2026-05-12T00:00:00.000Z',
  // The parent learns of each checkpoint and kills whenever it likes.
  onBatch: () => void process.stdout.write('batch\n'),
});
await wait(0);
process.stdout.write(`${JSON.stringify(result)}\n`);
