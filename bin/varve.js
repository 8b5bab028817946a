#!/usr/bin/env node
// Old syntax on purpose: an old Node has to understand this file to say that it is too old.
var major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(
    'varve needs Node 24 or newer; this is Node ' + process.versions.node + ' (' + process.execPath + ').',
  );
  console.error('Install Node 24 or newer, or add it to the project: npm install --save-dev node@24');
  process.exitCode = 2;
} else {
  import('./launch.js').catch(function (error) {
    console.error(error);
    process.exitCode = 1;
  });
}
