import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';
const TMPFS = 0x01_02_19_94;
/** More than the tests of a run hold at a time: databases, logs of servers, a document of a gigabyte. */
const ROOM_BYTES = 8 * 2 ** 30;

/**
 * Where tests keep what is gone after them: in memory where there is room, so that the thousands of small files that are
 * synced on the way cost no disk. What a killed process has written is there as it would be on a disk; only a power cut
 * would tell the two apart, and no test cuts the power.
 */
export function scratchFolder(): string {
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS && bavail * bsize >= ROOM_BYTES ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}
