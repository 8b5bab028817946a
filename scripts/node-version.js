// Plain JavaScript: it has to run on the Node that is too old.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  console.error(`Node 24 or newer is needed; this is ${process.versions.node} at ${process.execPath}.`);
  console.error('Run this through npm ("npm run check"): the devDependency "node" then brings Node 24.');
  console.error(
    'Where it does not, its install script was not run: repeat "npm ci" without --ignore-scripts.',
  );
  process.exit(2);
}
