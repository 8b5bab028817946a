import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { flywayChecksum, flywayId } from './flyway.ts';
import { graphileHash } from './graphile.ts';
import type { FolderFile, ImportTool } from './imported-item.ts';
import { listFolder } from './list-folder.ts';
import { readFolder } from './read-folder.ts';

const file = (path: string, text: string): FolderFile => ({
  path,
  text,
  bytes: new TextEncoder().encode(text),
});
const files = (texts: Readonly<Record<string, string>>): readonly FolderFile[] =>
  Object.entries(texts).map(([path, text]) => file(path, text));
const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What there is to say, short: the code with its reason, and the file. */
function read(texts: Readonly<Record<string, string>>, tool?: ImportTool) {
  const reading = readFolder(files(texts), tool);
  return {
    tool: reading.tool,
    ids: 'items' in reading ? reading.items.map(({ id }) => id) : [],
    findings: reading.findings.map(
      ({ code, severity, subject, detail }) =>
        `${severity} ${code} ${subject} ${typeof detail['reason'] === 'string' ? detail['reason'] : ''}`,
    ),
  };
}

function committed(bodies: readonly string[]): Readonly<Record<string, string>> {
  let previous: string | null = null;
  const texts: Record<string, string> = {};
  for (const [at, body] of bodies.entries()) {
    const hash: string = graphileHash(body, previous);
    texts[`committed/${String(at + 1).padStart(6, '0')}.sql`] =
      `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n\n${body}\n`;
    previous = hash;
  }
  return texts;
}

it('reads a folder of Flyway in the order of its versions, repeatable ones last and by name', () => {
  const texts = {
    'R__b_views.sql': 'b',
    'V10__ten.sql': '10',
    'V1.10__late.sql': '1.10',
    'sub/V1_2__early.sql': '1.2',
    'V20260301120000__stamp.sql': 's',
    'R__a_rights.sql': 'a',
    'U10__ten.sql': 'undo',
    'B9__base.sql': 'base',
  };
  expect(read(texts)).toEqual({
    tool: 'flyway',
    ids: ['V1.2', 'V1.10', 'V10', 'V20260301120000', 'R__a_rights', 'R__b_views'],
    findings: [],
  });
});

it("gives Flyway's checksum, whatever the line ends and with a byte order mark or without", () => {
  // The CRC-32 of `123456789` is cbf43926 in every table of check values.
  expect(flywayChecksum('123456789')).toBe(String(0xcbf43926 | 0));
  expect(flywayChecksum('1234\n56789\n')).toBe(flywayChecksum('123456789'));
  expect(flywayChecksum('\uFEFF1234\r\n5678\r9')).toBe(flywayChecksum('123456789'));
  expect(flywayChecksum('')).toBe('0');
  expect(flywayChecksum('é')).not.toBe(flywayChecksum('e'));
});

it('takes 1, 01 and 1.0 for one version of Flyway', () => {
  expect(['1', '01', '1.0', '1_0_0', '0', '1.10'].map((version) => flywayId(version))).toEqual([
    'V1',
    'V1',
    'V1',
    'V1',
    'V0',
    'V1.10',
  ]);
  expect(read({ 'V1__a.sql': 'a', 'V1.0__b.sql': 'b', 'notes.sql': 'x' }).findings).toEqual([
    'error import_invalid notes.sql name',
    'error import_invalid V1.0__b.sql duplicate',
  ]);
});

it('holds the committed migrations of graphile-migrate to their chain', () => {
  const texts = committed(['create table a ();', 'create table b ();', 'create table c ();']);
  expect(read(texts)).toEqual({
    tool: 'graphile-migrate',
    ids: ['000001.sql', '000002.sql', '000003.sql'],
    findings: [],
  });
  const { 'committed/000002.sql': second = '', ...gap } = texts;
  expect(read(gap).findings).toEqual(['error import_invalid committed/000003.sql chain_broken']);
  expect(read({ ...texts, 'committed/000002.sql': `${second}drop table a;\n` }).findings).toEqual([
    'error import_invalid committed/000002.sql hash_differs',
  ]);
  const allowed = second.replace('\n\n', '\n--! AllowInvalidHash\n\n').replace('b ()', 'b (id int)');
  expect(read({ ...texts, 'committed/000002.sql': allowed }).findings).toEqual([
    'warning import_invalid committed/000002.sql hash_differs',
  ]);
  expect(read({ ...texts, 'committed/000003.sql': 'select 1' }).findings).toEqual([
    'error import_invalid committed/000003.sql header',
  ]);
  expect(
    read({ 'committed/000001.sql': (texts['committed/000001.sql'] ?? '').replaceAll('\n', '\r\n') }).findings,
  ).toEqual(['error import_invalid committed/000001.sql line_ends']);
});

it('reads the migrations of Prisma, and takes the other line ends for the same content', () => {
  const texts = {
    'migration_lock.toml': '# kept by prisma\nprovider = "postgresql"\n',
    '20260302000000_more/migration.sql': 'b;\n',
    '0_init/migration.sql': 'a;\nb;\n',
  };
  expect(read(texts)).toEqual({ tool: 'prisma', ids: ['0_init', '20260302000000_more'], findings: [] });
  const reading = readFolder(files(texts));
  expect('items' in reading ? reading.items[0] : undefined).toMatchObject({
    checksum: sha256Hex('a;\nb;\n'),
    equalChecksums: [sha256Hex('a;\r\nb;\r\n')],
    description: 'init',
    order: 1,
  });
  expect(read({ ...texts, 'migration_lock.toml': 'provider = "mysql"' }).findings).toEqual([
    'error import_invalid migration_lock.toml provider',
  ]);
});

it('reads numbered scripts in the order of their numbers', () => {
  const texts = { '10_ten.sql': '', '9-nine.sql': '', '001_one.up.sql': '', '001_one.down.sql': '' };
  expect(read(texts)).toEqual({ tool: 'sql', ids: ['001_one', '9-nine', '10_ten'], findings: [] });
  expect(read({ '1_a.sql': '', '01_b.sql': '', 'seed.sql': '' }).findings).toEqual([
    'error import_invalid seed.sql name',
    'error import_invalid 01_b.sql duplicate',
  ]);
});

it('does not guess: a folder of two tools, or of none, has to be named', () => {
  const both = { 'V1__a.sql': 'a', '2_b.sql': 'b' };
  expect(read(both)).toMatchObject({ tool: undefined, findings: ['error import_ambiguous . '] });
  expect(read(both, 'flyway').findings).toEqual(['error import_invalid 2_b.sql name']);
  expect(read({ 'seed.sql': '' })).toMatchObject({
    tool: undefined,
    findings: ['error import_ambiguous . '],
  });
  expect(read({}, 'prisma').findings).toEqual(['error import_invalid . empty']);
});

it('reads 1,000 files in order', () => {
  const texts = Object.fromEntries(
    Array.from({ length: 1000 }, (_, at) => [`V${1000 - at}__step_${at}.sql`, `select ${at};\n`]),
  );
  const { ids, findings } = read(texts);
  expect(findings).toEqual([]);
  expect(ids).toHaveLength(1000);
  expect(ids.at(0)).toBe('V1');
  expect(ids.at(-1)).toBe('V1000');
});

it('follows no link, reads no bundle of its own, and refuses what is no text', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-import-'));
  const put = async (path: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  };
  await put('V1__a.sql', 'a');
  await put('sub/V2__b.sql', 'b');
  await put('V3__c.sql', new Uint8Array([0xff, 0xfe]));
  await put('readme.md', 'x');
  await put('postgis/PG-MIG-2026-03-01-01/migration.yml', 'x');
  await put('postgis/PG-MIG-2026-03-01-01/forward.sql', 'x');
  await symlink('/etc/hostname', join(folder, 'V4__d.sql'));
  const { files: found, findings } = await listFolder(folder);
  expect(found.map(({ path }) => path)).toEqual(['V1__a.sql', 'sub/V2__b.sql']);
  expect(findings.map(({ subject, detail }) => [subject, detail['reason']])).toEqual([
    ['V4__d.sql', 'no_regular_file'],
    ['V3__c.sql', 'not_utf8'],
  ]);
  expect((await listFolder(join(folder, 'gone'))).findings).toMatchObject([
    { detail: { reason: 'missing' } },
  ]);
  await rm(folder, { recursive: true });
});
