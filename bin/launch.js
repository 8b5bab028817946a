// Runs the command line: in a checkout its source, which Node reads as it is, in an installed package what was built.
import { enableCompileCache } from 'node:module';
import { inCheckout } from './resolve-self.js';

// A reader that has seen enough, as `head` has, must not end a run half-way.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

enableCompileCache();
const { main } = await import(inCheckout ? '../src/cli/main.ts' : '../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
