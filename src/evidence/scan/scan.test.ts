import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../base/index.ts';
import { toBase64 } from '../dsse.ts';
import { redactJson, scanFindings, scanText, type RestrictedArea, type ScanAbout } from './index.ts';

const AUTHORED: ScanAbout = { path: 'forward.sql', origin: 'authored' };
const PRODUCT: ScanAbout = { path: 'plan.json', origin: 'product' };
const rulesIn = async (text: string, about = AUTHORED): Promise<readonly string[]> => [
  ...new Set((await scanText(text, about)).map(({ rule }) => rule)),
];
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Joined here, so that no scanner of files takes this one for the real thing. */
const joined = (...parts: readonly string[]): string => parts.join('');

const JWT = joined(
  'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9',
  '.eyJzdWIiOiIxMjM0NTY3ODkwIn0',
  '.dozjgNryP4J3jVmNHl0w5N',
);
const POINT_HEX = '0101000020E61000000000000000001E400000000000804740';

const HITS: readonly (readonly [rule: string, text: string])[] = [
  ['role_password', "create role app login password 'hunter2'"],
  ['role_password', "ALTER USER app WITH LOGIN\n  PASSWORD /* new */ E'hunter2'"],
  ['role_password', '-- was: create role app password $$hunter2$$'],
  ['role_password', "do $$ begin execute 'create role app password ''hunter2'''; end $$"],
  [
    'role_password',
    "create function f() returns void language sql as $f$ alter role app password 'hunter2' $f$",
  ],
  ['option_password', "create user mapping for app server s options (user 'app', password 'hunter2')"],
  ['subscription_connection', "create subscription s connection 'host=db dbname=lab' publication p"],
  ['connection_keywords', 'host=db.example.org port=5432 dbname=lab user=app password=hunter2'],
  ['connection_keywords', "select dblink_connect('host=db password=''hunter2''')"],
  ['url_credentials', 'postgres://app:hunter2@db.example.org/lab'],
  ['url_credentials', 'see https://app:hunter2@wiki.example.org/page'],
  ['password_file', 'db.example.org:5432:lab:app:hunter2'],
  ['password_file', 'notes\n*:*:*:app:hunter2\n'],
  [
    'password_verifier',
    joined('SCRAM-SHA-256$4096:', 'W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY='),
  ],
  ['password_verifier', "alter role app password 'md55f4dcc3b5aa765d61d8327deb882cf99'"],
  ['jwt', `authorization: Bearer ${JWT}`],
  ['private_key', joined('-----BEGIN ', 'PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----')],
  ['private_key', joined('-----BEGIN RSA ', 'PRIVATE KEY-----')],
  ['private_key', joined('MC4CAQAwBQYDK2VwBCIEI', 'J1hsZ3v0VbQeRqzXJ3x6b2x0x2mFf9Qm5y1bY2v5cZf')],
  [
    'cluster_token',
    joined('SWMTKN-1-', '49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv-8vxv8rssmk743ojnwacrr2e7c'),
  ],
  ['cluster_token', 'kubeadm join 10.0.0.1:6443 --token abcdef.0123456789abcdef'],
  ['assigned_secret', 'api_key: "k-8f2b61c0"'],
  ['assigned_secret', '{"password": "correct horse battery"}'],
  ['assigned_secret', "{ clientSecret: 's3cr3tV4lue' }"],
  ['assigned_secret', 'PGPASSWORD=hunter2hunter2 psql'],
  ['assigned_secret', "update app.user set password = 'hunter2'"],
  ['high_entropy', joined('x = "', 'q7Zr2Lk9Vw4Tn8Xc1Bm6Ys3Hd5Gj0Pf', '"')],
  ['secretlint/github', joined('ghp_', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx')],
  ['secretlint/aws', joined('aws_secret_access_key = ', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ8pLmZk3T')],
];

const NEAR_MISSES: readonly (readonly [why: string, text: string])[] = [
  ['a digest', 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['a commit', 'commit 8e0b33672ca38242b70c098f7b1c5d580b0ef028'],
  ['a run id', 'varve://run/2026-05-12T09:14:07Z.migration.PG-MIG-2026-05-12-01.9f31c2aa'],
  ['a uuid', '4b6f2c1e-9d7a-4f0e-8a53-1c2d3e4f5a6b'],
  [
    'a public key',
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----',
  ],
  ['a registered key', '{"public_key":"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="}'],
  [
    'an integrity of a lock file',
    joined('sha512-', 'ZzFbGPAPvEzVFzXu6oWEGqkJHgrV2vhL8Qd2f3nYh6mVxWJg0T5T0dC1Ry3bXw=='),
  ],
  ['a column', 'create table app.user (id int, password text not null, secret_id int)'],
  ['no password', 'alter role app password null'],
  ['a placeholder', "create role app password '${APP_PASSWORD}'; alter role app password :'pw';"],
  ['a format', "execute format('create role %I password %L', name, value)"],
  ['a reference', 'password: ${APP_PASSWORD}\napi_key: "env:API_KEY"'],
  ['a url without password', 'https://app@wiki.example.org/page and https://example.org:8443/a'],
  ['a place and a line', 'src/a.ts:12:3:error:expected'],
  ['a time', '2026-05-12T09:14:07.123Z'],
  ['a path', 'migrations/postgis/PG-MIG-2026-05-12-01/baselines/Pre2.json'],
  ['a name in camel case', 'createSpatialIndexOnSampleTable2024ForGeometryColumn'],
  ['a type', 'create table s.site (id int, place geometry(Point, 4326), area geometry(MultiPolygonZ,2056))'],
  ['a function of columns', 'update s.site set place = st_setsrid(st_makepoint(lon, lat), 4326)'],
  ['an empty shape', "select 'POLYGON EMPTY'::geometry"],
  ['two numbers', 'values (47.3769, 8.5417)'],
  ['a schema and a table', 'select * from sample.measurement2026ab'],
  ['readable base64', toBase64(bytes('The quick brown fox jumps over the lazy dog.'))],
  ['words', 'The secret: rotate it. Password policy: at least 12 characters. Token: none'],
];

describe('M124 the scan for secrets', () => {
  it.each(HITS)('finds %s in %j', async (rule, text) => {
    expect(await rulesIn(text)).toContain(rule);
  });

  it.each(HITS)('finds %s in a product, and in base64 of %j', async (rule, text) => {
    expect(await rulesIn(text, PRODUCT)).toContain(rule);
    // What only services' own scanner or chance knows is not looked for in what was encoded.
    if (rule.startsWith('secretlint') || rule === 'high_entropy') return;
    const hits = await scanText(`note: ${toBase64(bytes(text))}`, AUTHORED);
    expect(hits).toContainEqual(expect.objectContaining({ rule, encoding: 'base64' }));
  });

  it.each(NEAR_MISSES)('lets pass %s', async (_why, text) => {
    expect(await scanText(text, AUTHORED)).toEqual([]);
  });

  it('knows base64 that is broken into lines, and base64 in base64', async () => {
    const long = `${'-- a note that goes on for a while\n'.repeat(5)}create role app password 'hunter2'`;
    const lines = toBase64(bytes(long)).replaceAll(/(.{76})/gu, '$1\n');
    expect(await rulesIn(lines)).toContain('role_password');
    expect(await rulesIn(toBase64(bytes(toBase64(bytes(long)))))).toContain('role_password');
  });

  it('is not switched off by a comment in the file', async () => {
    const token = joined('ghp_', 'wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx');
    expect(await rulesIn(`-- secretlint-disable\n${token}\n`)).toContain('secretlint/github');
  });

  it('says which rule struck and where, and nothing of what stands there', async () => {
    const hits = await scanText("select 1;\n  create role app password 'hunter2';", AUTHORED);
    expect(hits).toEqual([{ rule: 'role_password', kind: 'secret', severity: 'error', line: 2, column: 3 }]);
    const [finding] = scanFindings('forward.sql', hits);
    expect(finding).toMatchObject({
      code: 'secret_found',
      severity: 'error',
      subject: 'forward.sql',
      detail: { rule: 'role_password', line: 2, column: 3 },
    });
    expect(JSON.stringify(finding)).not.toContain('hunter2');
  });

  it('finds a planted password at its place in any text around it', async () => {
    const noise = fc.string({
      unit: fc.constantFrom('a', 'b', ' ', 'x', ';', '\n', '(', ')', '.', ','),
      maxLength: 200,
    });
    await fc.assert(
      fc.asyncProperty(noise, noise, async (before, after) => {
        const text = `${before}\ncreate role app password 'hunter2'\n${after}`;
        const line = before.split('\n').length + 1;
        expect(await scanText(text, AUTHORED)).toContainEqual(
          expect.objectContaining({ rule: 'role_password', line, column: 1 }),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('ends on hostile text in good time', async () => {
    const hostile = [
      'create role '.repeat(20_000),
      `create role ${' '.repeat(50_000)}`,
      'password='.repeat(20_000),
      '('.repeat(200_000),
      `point${'('.repeat(100_000)}1 2`,
      'a:1:'.repeat(50_000),
      'QUJD'.repeat(100_000),
      '01'.repeat(100_000),
      '"coordinates":['.repeat(10_000),
      `${'/*'.repeat(20_000)} options (${'x'.repeat(50_000)}`,
    ];
    for (const text of hostile) {
      const startedAt = performance.now();
      await scanText(text, PRODUCT);
      expect(performance.now() - startedAt, text.slice(0, 20)).toBeLessThan(10_000);
    }
  }, 120_000);
});

describe('M42 what varve writes itself', () => {
  it('passes where it is an envelope with a signature, and is looked into', async () => {
    const signature = toBase64(Uint8Array.from({ length: 64 }, (_, index) => (index * 151 + 7) % 256));
    const envelope = (body: string): string =>
      canonicalJson({
        payloadType: 'application/vnd.in-toto+json',
        payload: toBase64(bytes(body)),
        signatures: [{ keyid: `sha256:${'ab'.repeat(32)}`, sig: signature }],
      });
    expect(await scanText(envelope('{"run_id":"varve://run/x"}'), PRODUCT)).toEqual([]);
    expect(await rulesIn(envelope(`{"note":"create role a password 'hunter2'"}`), PRODUCT)).toContain(
      'role_password',
    );
    // The same text anywhere else is what it looks like.
    expect(await rulesIn(canonicalJson({ sig: signature }), PRODUCT)).toContain('high_entropy');
  });

  it('never holds the way to a database, of which an authored file may speak', async () => {
    for (const text of ['postgres://db.example.org:5432/lab', 'host=db.example.org dbname=lab']) {
      expect(await rulesIn(text, AUTHORED)).toEqual([]);
      expect((await rulesIn(text, PRODUCT)).length, text).toBe(1);
    }
  });

  it('is looked into where a text is written with escapes', async () => {
    const statement = "create\nrole app\n\tpassword 'hunter2'; select 'POINT\n(7.5\t47)'";
    expect(await rulesIn(canonicalJson({ statement }), PRODUCT)).toEqual(['role_password', 'wkt']);
  });

  it('has such a text replaced by the rule that struck', async () => {
    const value = {
      code: 'database_unreachable',
      detail: { location: 'postgres://db:5432/lab', tries: 3 },
      list: ['a'],
    };
    expect(await redactJson(value)).toEqual({
      ...value,
      detail: { location: '(withheld: connection_url)', tries: 3 },
    });
  });
});

describe('M125 the scan for positions', () => {
  const POSITIONS: readonly (readonly [rule: string, text: string])[] = [
    ['wkt', "st_geomfromtext('POINT(7.5 47)')"],
    ['wkt', 'SRID=4326;MULTIPOLYGON Z (((7.5 47 1, 7.6 47 1, 7.6 48 1, 7.5 47 1)))'],
    ['wkt', 'GEOMETRYCOLLECTION(POINT(7.5 47))'],
    ['ewkb', `'${POINT_HEX}'::geometry`],
    ['ewkb', `'\\x${POINT_HEX}'`],
    ['ewkb', '010200000002000000000000000000000000000000000000000000000000001e400000000000804740'],
    ['geojson', '{"type":"Point","coordinates":[7.5,47]}'],
    ['geojson', '"{\\"type\\":\\"Polygon\\",\\"coordinates\\":[[[7.5,47],[7.6,47],[7.6,48],[7.5,47]]]}"'],
    ['coordinates', 'st_setsrid(st_makepoint(7.5, 47), 4326)'],
  ];

  it.each(POSITIONS)('finds %s in a product: %j', async (rule, text) => {
    expect(await scanText(text, PRODUCT)).toMatchObject([{ rule, kind: 'position', severity: 'error' }]);
    expect(scanFindings('x', await scanText(text, PRODUCT))).toMatchObject([{ code: 'position_found' }]);
  });

  it.each(POSITIONS)(
    'wants a review of %s in an authored file where no area is configured: %j',
    async (rule, text) => {
      expect(await scanText(text, AUTHORED)).toMatchObject([{ rule, severity: 'review' }]);
    },
  );

  it.each(POSITIONS)('refuses %s inside a restricted area only: %j', async (_rule, text) => {
    const nest: RestrictedArea = { name: 'nest', west: 7, south: 46.5, east: 7.55, north: 47.5 };
    const far: RestrictedArea = { name: 'far', west: 170, south: -45, east: 171, north: -44 };
    expect(await scanText(text, { ...AUTHORED, restrictedAreas: [far, nest] })).toMatchObject([
      { severity: 'error' },
    ]);
    expect(await scanText(text, { ...AUTHORED, restrictedAreas: [far] })).toEqual([]);
  });

  it('wants a review where a position is given in another reference system', async () => {
    const areas = [{ name: 'nest', west: 7, south: 46.5, east: 7.55, north: 47.5 }];
    const text = "'SRID=2056;POINT(2600000 1200000)'";
    expect(await scanText(text, { ...AUTHORED, restrictedAreas: areas })).toMatchObject([
      { severity: 'review' },
    ]);
  });

  it('finds one in base64, of its text and of its bytes', async () => {
    const raw = Uint8Array.from(POINT_HEX.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
    for (const text of [toBase64(bytes("insert into s.nest values ('POINT(7.5 47)')")), toBase64(raw)])
      expect(await scanText(text, PRODUCT)).toContainEqual(
        expect.objectContaining({ kind: 'position', encoding: 'base64' }),
      );
  });

  it('takes no digest for a position', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 20, maxLength: 64 }), async (digest) => {
        const digits = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
        expect(await scanText(`"01${digits.slice(2)}"`, PRODUCT)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
