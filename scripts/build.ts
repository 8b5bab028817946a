// `dist` from nothing: what a deleted source file left behind must not be shipped.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
const { status, error } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (error !== undefined) console.error(`tsc did not start: ${error.message}. Run this with npm run build.`);
process.exitCode = status ?? 1;

// Where the compiler rewrites a function for an older target it forgets the imports in it, so the build keeps the
// syntax that Node 24 has; nothing else sees this before a user runs the command.
const forgotten = globSync('dist/**/*.js').filter((file) =>
  /\bimport\(\s*['"]\.[^'"]*\.ts['"]\s*\)/u.test(readFileSync(file, 'utf8')),
);
if (forgotten.length > 0) {
  console.error(`These files import a .ts file, which is not shipped: ${forgotten.join(', ')}`);
  process.exitCode = 1;
}
