import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFixtureProject, type FixtureProject } from '../../../test/fixture/project.ts';
import { createPackageVersions } from './package-version.ts';

let project: FixtureProject;

beforeEach(() => {
  project = createFixtureProject();
  for (const [name, version] of [
    ['scrub', '1.0.0'],
    ['soap', '2.0.0'],
    ['@lab/tools', '3.0.0'],
  ] as const) {
    project.write({
      [`node_modules/${name}/package.json`]: JSON.stringify({
        name,
        version,
        ...(name === 'scrub' ? { dependencies: { soap: '^2.0.0' } } : {}),
      }),
    });
  }
});

afterEach(() => {
  project.remove();
});

/** The versions of `scrub`, which depends on `soap`, and of `@lab/tools`. */
function versions(lock: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  project.write(lock);
  const importer = new Set([path.join(project.folder, 'src/lab.ts')]);
  const found = createPackageVersions(project.folder).of(
    new Map([
      ['scrub', importer],
      ['@lab/tools', importer],
    ]),
  );
  return found.packages;
}

const PLAIN = { '@lab/tools': '3.0.0', scrub: '1.0.0', soap: '2.0.0' };

describe('the versions of packages', () => {
  test.each<readonly [string, Readonly<Record<string, string>>, Readonly<Record<string, string>>]>([
    ['no lock file that knows them', { 'package-lock.json': '{}' }, PLAIN],
    ['one that is damaged', { 'package-lock.json': '{ "packages": ' }, PLAIN],
    [
      'npm, with a commit and another version than what is installed',
      {
        'package-lock.json': JSON.stringify({
          packages: {
            'node_modules/scrub': {
              version: '1.0.0',
              resolved: `git+ssh://git@host/scrub.git#${'a1'.repeat(20)}`,
            },
            'node_modules/soap': { version: '2.1.0', resolved: 'https://host/soap/-/soap-2.1.0.tgz' },
          },
        }),
      },
      { ...PLAIN, scrub: `1.0.0 ${'a1'.repeat(20)}`, soap: '2.1.0 (installed 2.0.0)' },
    ],
    [
      'npm-shrinkwrap.json before package-lock.json',
      {
        'npm-shrinkwrap.json': JSON.stringify({ packages: { 'node_modules/soap': { version: '2.2.0' } } }),
        'package-lock.json': JSON.stringify({ packages: { 'node_modules/soap': { version: '2.1.0' } } }),
      },
      { ...PLAIN, soap: '2.2.0 (installed 2.0.0)' },
    ],
    [
      'pnpm, with a commit, a patch and another version',
      {
        'pnpm-lock.yaml': `lockfileVersion: '9.0'
patchedDependencies:
  '@lab/tools@3.0.0':
    hash: p4tch
    path: patches/tools.patch
packages:
  '@lab/tools@3.0.0':
    resolution: {integrity: sha512-aa==}
  scrub@https://codeload.host/x/scrub/tar.gz/a1b2c3:
    resolution: {tarball: https://codeload.host/x/scrub/tar.gz/a1b2c3}
    version: 1.0.0
  soap@2.1.0(peer@1.0.0):
    resolution: {integrity: sha512-bb==}
`,
      },
      {
        '@lab/tools': '3.0.0 patch p4tch',
        scrub: '1.0.0 https://codeload.host/x/scrub/tar.gz/a1b2c3',
        soap: '2.0.0 (locked 2.1.0)',
      },
    ],
    [
      'yarn 1, with a commit',
      {
        'yarn.lock': `# yarn lockfile v1


"@lab/tools@^3.0.0", "@lab/tools@^3.0.1":
  version "3.0.0"
  resolved "https://host/@lab/tools/-/tools-3.0.0.tgz#0123456789abcdef0123456789abcdef01234567"
  integrity sha512-aa==

"scrub@git+https://host/scrub.git":
  version "1.0.0"
  resolved "git+https://host/scrub.git#a1b2c3d4"

soap@^2.0.0:
  version "2.1.0"
  resolved "https://host/soap/-/soap-2.1.0.tgz#0123456789abcdef0123456789abcdef01234567"
`,
      },
      { ...PLAIN, scrub: '1.0.0 a1b2c3d4', soap: '2.0.0 (locked 2.1.0)' },
    ],
    [
      'a later yarn, with a patch',
      {
        'yarn.lock': `__metadata:
  version: 8

"@lab/tools@npm:^3.0.0":
  version: 3.0.0
  resolution: "@lab/tools@npm:3.0.0"
  checksum: 10c0/aa
  linkType: hard

"scrub@patch:scrub@npm%3A1.0.0#~/.yarn/patches/scrub.patch":
  version: 1.0.0
  resolution: "scrub@patch:scrub@npm%3A1.0.0#~/.yarn/patches/scrub.patch::version=1.0.0&hash=abc"
  checksum: 10c0/bb
  linkType: hard
`,
      },
      { ...PLAIN, scrub: '1.0.0 10c0/bb' },
    ],
    [
      'bun, with a commit',
      {
        'bun.lock': `{
  "lockfileVersion": 1,
  "packages": {
    "@lab/tools": ["@lab/tools@3.0.0", "", {}, "sha512-aa=="],
    "scrub": ["scrub@github:x/scrub#a1b2c3d", { "dependencies": { "soap": "^2.0.0" } }, "x-scrub-a1b2c3d"],
    "soap": ["soap@2.1.0", "", {}, "sha512-bb=="],
  },
}
`,
      },
      { ...PLAIN, scrub: '1.0.0 github:x/scrub#a1b2c3d', soap: '2.0.0 (locked 2.1.0)' },
    ],
  ])('with %s', (_what, lock, expected) => {
    expect(versions(lock)).toEqual(expected);
  });

  test('count what is patched after installing', () => {
    const before = versions({ 'package-lock.json': '{}', 'patches/@lab+tools+3.0.0.patch': 'one' });
    const after = versions({ 'patches/@lab+tools+3.0.0.patch': 'two' });
    expect(before['@lab/tools']).toMatch(/^3\.0\.0 patch sha256:/);
    expect(after['@lab/tools']).not.toBe(before['@lab/tools']);
    expect(after['scrub']).toBe('1.0.0');
  });
});
