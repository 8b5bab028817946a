/** The thread of a `workerRunner`. */
import { parentPort, workerData } from 'node:worker_threads';
import { recordedFiles } from './key-context.ts';
import { serveSlices } from './serve-slices.ts';
import type { ThreadData } from './thread-host.ts';

const { settings, begun } = workerData as ThreadData;
const answer = await serveSlices(settings, {
  send: (message) => parentPort?.postMessage(message, []),
  begin: (index) => void Atomics.store(begun, 0, index + 1),
  openFiles: (reads) => recordedFiles(settings.files, reads),
});
parentPort?.on('message', answer);
