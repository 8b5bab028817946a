#!/usr/bin/env node
// Nothing but Node's own modules may be imported before the release of Node is known to be new enough.
const REQUIRED_MAJOR = 24;

if (Number.parseInt(process.versions.node, 10) < REQUIRED_MAJOR) {
  process.stderr.write(
    `error: varve needs Node ${REQUIRED_MAJOR} or newer, and this is ${process.versions.node}.\n` +
      `  Install Node ${REQUIRED_MAJOR}, or start varve with it.\n`,
  );
  process.exitCode = 1;
} else {
  const { main } = await import('./main.ts');
  process.exitCode = await main(process.argv.slice(2));
}
