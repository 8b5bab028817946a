import { describe, expect, it } from 'vitest';
import { createCliProject, type CliProject } from './cli-project.ts';

const ID = 'PG-MIG-2026-05-12-01';
const BUNDLE = `migrations/postgis/${ID}`;

const DECLARATION = `migration_id: ${ID}
type: postgis
intent: Places have an area.
scope:
  allowed_schemas: [geo]
  allowed_tables: [place]
  forbidden_schemas: []
  forbidden_tables: []
limits: { max_table_count_touched: 1 }
requires_rollback: true
approvals: { required_reviewers: ['group:approvers'], change_class: routine }
artifacts:
  forward: [forward.sql]
  rollback: [rollback.sql]
`;

const PROJECT: Readonly<Record<string, string>> = {
  'varve.config.ts': "export default { stores: { main: { embedded: '.varve/db' } } };\n",
  [`${BUNDLE}/migration.yml`]: DECLARATION,
  [`${BUNDLE}/notes.md`]: '# Why\n',
  [`${BUNDLE}/forward.sql`]:
    'alter table geo.place add column area integer;\ncreate index place_area on geo.place (area);\n',
  [`${BUNDLE}/rollback.sql`]: 'alter table geo.place drop column area;\n',
};

async function linted(project: CliProject, ...argv: string[]): Promise<readonly [number, string, string]> {
  const { exit, stdout, stderr } = await project.run(['lint', ...argv]);
  return [exit, stdout, stderr];
}

describe('varve lint', () => {
  it('reads the bundles of the project, each in the transaction that its runner gives it', async () => {
    await using project = await createCliProject(PROJECT);
    expect(await linted(project)).toMatchInlineSnapshot(`
      [
        3,
        "script                errors  warnings  notes
      PG-MIG-2026-05-12-01       2         0      0
      ",
        "error: lint_index_not_concurrent  geo.place.place_area  takes SHARE on geo.place and reads all of it (an index is built while writers wait: file migrations/postgis/PG-MIG-2026-05-12-01/forward.sql, line 2, column 1)
        Build it CONCURRENTLY, outside a transaction.
      error: lint_lock_held  geo.place  takes SHARE on geo.place and reads all of it while ACCESS EXCLUSIVE on geo.place of line 1 is held (long work is done under a lock of the same transaction: file migrations/postgis/PG-MIG-2026-05-12-01/forward.sql, line 2, column 1)
        End the transaction right after the DDL, and do the long work in another.
      ",
      ]
    `);
    const { json } = await project.run(['check', '--json']);
    expect(json()).toMatchObject({ status: 'refused', checked: { migrations: 1 } });
    expect(JSON.stringify(json()['findings'])).toContain('lint_index_not_concurrent');
  });

  it('reads files and folders without a project, and passes where nothing refuses', async () => {
    await using project = await createCliProject({
      'db/001.sql':
        'set lock_timeout = 2000;\nalter table geo.place add column if not exists area integer;\n',
      'db/more/002.sql': "create table geo.note (\n  'é',\n);\n",
      'db/.git/x.sql': 'drop table geo.place;',
      'db/readme.md': 'drop table geo.place;',
    });
    expect(await linted(project, 'db/001.sql')).toMatchInlineSnapshot(`
      [
        0,
        "script      errors  warnings  notes
      db/001.sql       0         1      0
      ",
        "warning: lint_statement_timeout_missing  geo.place.area  holds ACCESS EXCLUSIVE on geo.place for as long as it takes (DDL may run without end: file db/001.sql, line 2, column 1)
        Set a statement timeout first, such as \`set statement_timeout = '1min'\`.
      ",
      ]
    `);
    expect(await linted(project, 'db/001.sql', '--timeouts')).toMatchObject([0, expect.any(String), '']);
    expect(await linted(project, 'db')).toMatchInlineSnapshot(`
      [
        3,
        "script           errors  warnings  notes
      db/001.sql            0         1      0
      db/more/002.sql       1         0      0
      ",
        "warning: lint_statement_timeout_missing  geo.place.area  holds ACCESS EXCLUSIVE on geo.place for as long as it takes (DDL may run without end: file db/001.sql, line 2, column 1)
        Set a statement timeout first, such as \`set statement_timeout = '1min'\`.
      error: sql_invalid  statement  syntax error (the database does not accept this SQL: file db/more/002.sql, line 2, column 3)
        Correct the statement: the parser of PostgreSQL does not read it, so no rule has looked at it.
      ",
      ]
    `);
  });

  it('writes what code hosts and build servers read', async () => {
    await using project = await createCliProject({
      'a.sql': 'drop table geo.old; -- varve-allow table_dropped: its rows stand in geo.place\n',
    });
    const { stdout } = await project.run(['lint', 'a.sql', '--timeouts', '--format', 'sarif']);
    expect(JSON.parse(stdout)).toMatchObject({
      runs: [
        {
          results: [
            {
              ruleId: 'lint_table_dropped',
              level: 'note',
              locations: [
                {
                  physicalLocation: {
                    artifactLocation: { uri: 'a.sql' },
                    region: { startLine: 1, startColumn: 1 },
                  },
                },
              ],
              suppressions: [{ kind: 'inSource', justification: 'its rows stand in geo.place' }],
            },
          ],
        },
      ],
    });
    const [exit, junit] = await linted(project, 'a.sql', '--format', 'junit');
    expect([exit, junit.split('\n')[1]]).toEqual([
      3,
      '<testsuites name="varve lint" tests="3" failures="1">',
    ]);
    const { json } = await project.run(['lint', 'a.sql', '--timeouts', '--json']);
    expect(json()).toMatchObject({ status: 'ok', checked: { scripts: 1 }, findings: [{ severity: 'info' }] });
  });

  it('refuses what it cannot read, and a version that nobody knows', async () => {
    await using project = await createCliProject({ 'empty/readme.md': '' });
    expect(await linted(project, 'gone.sql', 'empty')).toMatchInlineSnapshot(`
      [
        3,
        "script    errors  warnings  notes
      gone.sql       1         0      0
      empty          1         0      0
      ",
        "error: file_unreadable  gone.sql  not found
        Name an SQL file in UTF-8, or a folder that holds some.
      error: file_unreadable  empty  no SQL file in this folder
        As above.
      ",
      ]
    `);
    expect((await linted(project, 'empty', '--server', '9'))[0]).toBe(2);
    expect(await linted(project)).toMatchObject([3, '', expect.stringContaining('config_missing') as string]);
  });

  it('refuses a bundle that is not usable, for nothing in it was looked at', async () => {
    await using project = await createCliProject({
      ...PROJECT,
      [`${BUNDLE}/rollback.sql`]: '\uFEFFselect 1;',
    });
    const { exit, json } = await project.run(['lint', BUNDLE, '--json']);
    expect([exit, json()['findings']]).toMatchObject([
      3,
      [{ code: 'bundle_invalid', subject: `${BUNDLE}/rollback.sql` }],
    ]);
  });
});
