// dependency-cruiser over all folders of code that exist; it refuses a folder that does not.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const folders = ['src', 'test', 'examples', 'bench'].filter((folder) => existsSync(folder));
const { status } = spawnSync('depcruise', ['--config', '.dependency-cruiser.mjs', ...folders], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
