// Migrates published descriptions of interfaces in a process of its own, so that a test can kill it:
// node corpus-process.ts IN OUT [resume]
import { migrateFile } from '../../src/document/edge/index.ts';
import { openapiType } from '../../examples/05-documents/openapi-type.ts';

const [, , input = '', out = '', mode = ''] = process.argv;
const model = openapiType().model();
if (model.status === 'refused') throw new TypeError(JSON.stringify(model));
const result = await migrateFile(model.value, input, out, {
  resume: mode === 'resume',
  maxQuarantined: 1_000,
  allowLossy: true,
  batchBytes: 256 * 1024,
  now: mode === 'resume' ? '2027-01-01T00:00:00.000Z' : '2026-05-12T00:00:00.000Z',
  onBatch: () => void process.stdout.write('batch\n'),
});
process.stdout.write(`${JSON.stringify(result)}\n`);
