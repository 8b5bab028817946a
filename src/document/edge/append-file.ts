import { open, type FileHandle } from 'node:fs/promises';

/** A file that only grows, and is cut back to what a checkpoint vouches for. */
export interface AppendFile extends AsyncDisposable {
  readonly length: () => number;
  readonly append: (bytes: Uint8Array) => Promise<void>;
  /** Returns when the disk has it. */
  readonly sync: () => Promise<void>;
}

/** Opens a file for appending behind its first `length` bytes; what stands behind them is cut off. */
export async function openAppendFile(path: string, length: number): Promise<AppendFile> {
  const handle = await open(path, length === 0 ? 'w' : 'r+');
  await handle.truncate(length);
  let end = length;
  let synced = -1;
  return {
    length: () => end,
    append: async (bytes) => {
      if (bytes.length === 0) return;
      await writeAll(handle, bytes, end);
      end += bytes.length;
    },
    sync: async () => {
      if (synced === end) return;
      const reached = end;
      await handle.datasync();
      synced = reached;
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, from: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, from + written);
    written += bytesWritten;
  }
}
