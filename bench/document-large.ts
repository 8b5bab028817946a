/**
 * Memory of a process that migrates a file of lines of any size: `VARVE_BENCH_DOCUMENT_GB=10`. Without it nothing is
 * measured, since the file and its output take more than twice that much of the disk. Alone, then with two threads.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { atMost, figure, type Figure } from './figure.ts';
import { legacyTrace } from './trace-type.ts';

const GIGABYTES = Number(process.env['VARVE_BENCH_DOCUMENT_GB'] ?? 0);
const WORKERS = 2;
const MOST_MB = 300;
const MORE_MB = 40;

/** Measures, where a size is asked for. */
export async function benchLargeFile(): Promise<readonly Figure[]> {
  if (!(GIGABYTES > 0)) return [];
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-large-'));
  try {
    const input = join(folder, 'in.jsonl');
    const documents = await writeLines(input, GIGABYTES * 2 ** 30);
    const figures = [figure('large file', GIGABYTES, 'GB')];
    for (const workers of [0, WORKERS]) {
      const name = workers === 0 ? 'large file, one thread' : `large file, ${workers} threads`;
      const { peakMb, seconds } = await migrated(input, join(folder, `out-${workers}.jsonl`), workers);
      figures.push(atMost(`${name}: memory at most`, peakMb, 'MB', MOST_MB + MORE_MB * workers));
      figures.push(figure(name, documents / seconds, 'documents/s'));
    }
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lines of documents until the file is that large; how many they are. */
async function writeLines(path: string, sizeBytes: number): Promise<number> {
  await using file = await open(path, 'w');
  const block = 1_000;
  let [written, documents] = [0, 0];
  while (written < sizeBytes) {
    const lines = Array.from(
      { length: block },
      (_, at) => `${JSON.stringify(legacyTrace(documents + at))}\n`,
    ).join('');
    await file.appendFile(lines);
    written += Buffer.byteLength(lines);
    documents += block;
  }
  return documents;
}

async function migrated(
  input: string,
  out: string,
  workers: number,
): Promise<{ readonly peakMb: number; readonly seconds: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL('document-large-process.ts', import.meta.url)),
    input,
    out,
    String(workers),
  ]);
  await rm(out);
  return JSON.parse(stdout) as { readonly peakMb: number; readonly seconds: number };
}
