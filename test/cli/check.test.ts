import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql, type Store } from '../../src/store/index.ts';
import { postgresStore } from '../../src/store/postgres/index.ts';
import { postgresDatabase, type PostgresDatabase } from '../harness/index.ts';
import { createCliProject, definitionsIn, deploy, normalised, type CliProject } from './cli-project.ts';
import { LAB } from './lab.ts';

const CONFIG = LAB['varve.config.ts'] ?? '';

/** A verdict that reads a policy by SQL, declared nowhere: let through and recorded, or refused. */
const undeclared = (strict: 'observe' | 'enforce'): Readonly<Record<string, string>> => ({
  'varve.config.ts': CONFIG,
  'pipeline/lab.ts': `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
export const Policy = lab.manual('policy', { key: { policy: t.integer() }, columns: { minimum: t.double() } });
export const Mouse = lab.manual('mouse', { key: { mouse: t.integer() }, columns: { weight: t.double() } });
export const Verdict = lab.computed('verdict', {
  parents: [Mouse],
  columns: { fine: t.boolean() },
  reads: { mouse: Mouse },
  strict: '${strict}',
  makeWith: async (db, { key }) => {
    const policy = await db.selectFrom('lab.policy').selectAll().execute();
    return { fine: policy.length > 0 };
  },
});
`,
});

let database: PostgresDatabase;
let store: Store;

beforeAll(async () => {
  database = await postgresDatabase(18);
  store = await postgresStore({ url: database.url });
});

afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

async function checked(project: CliProject, ...argv: string[]): Promise<readonly [number, string, string]> {
  const { exit, stdout, stderr } = await project.run(['check', ...argv]);
  return [exit, normalised(stdout, project.dir), normalised(stderr, project.dir)];
}

describe('varve check', () => {
  it('passes without a database, and says what it could not look at', async () => {
    await using project = await createCliProject(LAB);
    expect(await checked(project)).toMatchInlineSnapshot(`
      [
        0,
        "check                                      checked  findings
      tables defined                                   2         0
      makes read for what they do not declare          1         0
      tables whose recorded reads were compared        0         1
      migration bundles                                0         0
      ",
        "info: config_invalid  main  the environment variable DATABASE_URL is not set
        Set DATABASE_URL to the address of the database.
      ",
      ]
    `);
    expect(await checked(project, '--quiet')).toMatchObject([0, expect.any(String), '']);
    expect(await checked(project, '--json')).toMatchInlineSnapshot(`
      [
        0,
        "{
        "status": "ok",
        "findings": [
          {
            "code": "config_invalid",
            "severity": "info",
            "subject": "main",
            "detail": {
              "reason": "the environment variable DATABASE_URL is not set"
            },
            "hint": "Set DATABASE_URL to the address of the database."
          }
        ],
        "checked": {
          "definitions": 2,
          "sources": 1,
          "recordedReads": 0,
          "migrations": 0
        }
      }
      ",
        "",
      ]
    `);
  });

  it('finds an undeclared read in source, and fails where reads are enforced', async () => {
    await using project = await createCliProject(undeclared('enforce'));
    expect(await checked(project)).toMatchInlineSnapshot(`
      [
        3,
        "check                                      checked  findings
      tables defined                                   3         0
      makes read for what they do not declare          1         1
      tables whose recorded reads were compared        0         1
      migration bundles                                0         0
      ",
        "error: undeclared_read  lab.verdict  a make read what it does not declare: file pipeline/lab.ts, line 12, column 40, reads lab.policy
        Add \`policy: Policy\` to \`reads\` and \`references: { policy: Policy.optional().from({ policy: SOURCE.column('...') }) }\`, or, for the whole table, \`policy: Policy.all()\` to \`reads\`.
      info: config_invalid  main  the environment variable DATABASE_URL is not set
        Set DATABASE_URL to the address of the database.
      ",
      ]
    `);
    expect(await checked(project, '--format', 'junit')).toMatchInlineSnapshot(`
      [
        3,
        "<?xml version="1.0" encoding="UTF-8"?>
      <testsuites name="varve check" tests="4" failures="1">
        <testsuite name="definitions" tests="1" failures="0" errors="0" skipped="0">
          <testcase classname="definitions" name="3 checked"/>
        </testsuite>
        <testsuite name="sources" tests="1" failures="1" errors="0" skipped="0">
          <testcase classname="sources" name="undeclared_read lab.verdict" file="pipeline/lab.ts" line="12">
            <failure type="undeclared_read" message="a make read what it does not declare: file pipeline/lab.ts, line 12, column 40, reads lab.policy">Add \`policy: Policy\` to \`reads\` and \`references: { policy: Policy.optional().from({ policy: SOURCE.column('...') }) }\`, or, for the whole table, \`policy: Policy.all()\` to \`reads\`.</failure>
          </testcase>
        </testsuite>
        <testsuite name="recordedReads" tests="1" failures="0" errors="0" skipped="0">
          <testcase classname="recordedReads" name="config_invalid main">
            <system-out>info: the project configuration is not usable: reason the environment variable DATABASE_URL is not set. Set DATABASE_URL to the address of the database.</system-out>
          </testcase>
        </testsuite>
        <testsuite name="migrations" tests="1" failures="0" errors="0" skipped="0">
          <testcase classname="migrations" name="0 checked"/>
        </testsuite>
      </testsuites>
      ",
        "error: undeclared_read  lab.verdict  a make read what it does not declare: file pipeline/lab.ts, line 12, column 40, reads lab.policy
        Add \`policy: Policy\` to \`reads\` and \`references: { policy: Policy.optional().from({ policy: SOURCE.column('...') }) }\`, or, for the whole table, \`policy: Policy.all()\` to \`reads\`.
      info: config_invalid  main  the environment variable DATABASE_URL is not set
        Set DATABASE_URL to the address of the database.
      ",
      ]
    `);
    const [exit, sarif] = await checked(project, '--format', 'sarif');
    expect([exit, sarif]).toMatchInlineSnapshot(`
      [
        3,
        "{
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
          {
            "tool": {
              "driver": {
                "name": "varve",
                "version": "0.1.0",
                "rules": [
                  {
                    "id": "config_invalid",
                    "shortDescription": {
                      "text": "the project configuration is not usable"
                    }
                  },
                  {
                    "id": "undeclared_read",
                    "shortDescription": {
                      "text": "a make read what it does not declare"
                    },
                    "fullDescription": {
                      "text": "A result depends on rows that nobody knows it depends on."
                    },
                    "help": {
                      "text": "Declare the table under \`reads\`; the hint of each finding says how, with the foreign key where one is missing."
                    }
                  }
                ]
              }
            },
            "columnKind": "utf16CodeUnits",
            "results": [
              {
                "ruleId": "undeclared_read",
                "ruleIndex": 1,
                "level": "error",
                "message": {
                  "text": "lab.verdict: a make read what it does not declare: file pipeline/lab.ts, line 12, column 40, reads lab.policy. Add \`policy: Policy\` to \`reads\` and \`references: { policy: Policy.optional().from({ policy: SOURCE.column('...') }) }\`, or, for the whole table, \`policy: Policy.all()\` to \`reads\`."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "pipeline/lab.ts",
                        "uriBaseId": "%SRCROOT%"
                      },
                      "region": {
                        "startLine": 12,
                        "startColumn": 40
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "lab.verdict"
                      }
                    ]
                  }
                ]
              },
              {
                "ruleId": "config_invalid",
                "ruleIndex": 0,
                "level": "note",
                "message": {
                  "text": "main: the project configuration is not usable: reason the environment variable DATABASE_URL is not set. Set DATABASE_URL to the address of the database."
                },
                "locations": [
                  {
                    "physicalLocation": {
                      "artifactLocation": {
                        "uri": "varve.config.ts",
                        "uriBaseId": "%SRCROOT%"
                      }
                    },
                    "logicalLocations": [
                      {
                        "fullyQualifiedName": "main"
                      }
                    ]
                  }
                ]
              }
            ]
          }
        ]
      }
      ",
      ]
    `);
    const [, json] = await checked(project, '--format', 'json');
    expect(json).toBe((await checked(project, '--json'))[1]);
  });

  it('finds undeclared reads that were recorded, with their number and the declaration', async () => {
    await using project = await createCliProject(undeclared('observe'), { DATABASE_URL: database.url });
    await deploy(store, await definitionsIn(project));
    await store.execute(sql`insert into lab.mouse select i, i from generate_series(1, 3) i`);
    await store.execute(sql`insert into lab.policy values (1, 10)`);
    expect((await project.run(['populate'])).exit).toBe(0);
    const { findings } = (await project.run(['check', '--json'])).json() as {
      readonly findings: readonly { readonly detail: Readonly<Record<string, unknown>> }[];
    };
    expect(findings.filter(({ detail }) => 'keys' in detail)).toMatchInlineSnapshot(`
      [
        {
          "code": "undeclared_read",
          "detail": {
            "columns": [
              "minimum",
              "policy",
            ],
            "keys": 3,
            "reads": "lab.policy",
          },
          "hint": "Add \`policy: Policy\` to \`reads\` and \`references: { policy: Policy.optional().from({ policy: SOURCE.column('...') }) }\`, or, for the whole table, \`policy: Policy.all()\` to \`reads\`.",
          "severity": "warning",
          "subject": "lab.verdict",
        },
      ]
    `);
    // Source and database tell of the same read; what to do is said once.
    const { exit, stderr } = await project.run(['check']);
    expect(exit).toBe(0);
    expect(stderr.match(/^warning: undeclared_read/gmu)).toHaveLength(2);
    expect(stderr.match(/Add `policy: Policy` to `reads`/gu)).toHaveLength(1);
    expect(stderr.match(/^ {2}As above\.$/gmu)).toHaveLength(1);
  });

  it('reads the bundles of migrations', async () => {
    await using project = await createCliProject(LAB);
    const folder = join(project.dir, 'migrations/pipeline/PIPE-MIG-2026-03-01-01');
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'migration.yml'),
      'migration_id: PIPE-MIG-2026-03-01-01\ntype: pipeline\ntype: graph\n',
    );
    expect(await checked(project)).toMatchInlineSnapshot(`
      [
        3,
        "check                                      checked  findings
      tables defined                                   2         0
      makes read for what they do not declare          1         0
      tables whose recorded reads were compared        0         1
      migration bundles                                1         2
      ",
        "info: config_invalid  main  the environment variable DATABASE_URL is not set
        Set DATABASE_URL to the address of the database.
      error: declaration_invalid  migrations/pipeline/PIPE-MIG-2026-03-01-01/migration.yml:3:1  duplicate_key
        Write plain YAML: texts, whole numbers, lists and maps, each key once, no aliases, tags or merges.
      error: registry_invalid  PIPE-MIG-2026-03-01-01  no_entry
        Enter it: \`varve new\` and \`varve plan\` do, and \`varve gate --register\` enters one that was copied here.
      ",
      ]
    `);
  });

  it.each([
    ['a configuration that throws', { 'varve.config.ts': 'throw new Error("no such luck");' }],
    ['a circle of reads', CIRCLE()],
    [
      'a definition that cannot stand',
      {
        ...LAB,
        'pipeline/lab.ts': `${LAB['pipeline/lab.ts']}\nlab.manual('mouse', { key: { a: t.integer() } });`,
      },
    ],
    [
      'a table of a pipeline that is not listed',
      { ...LAB, 'varve.config.ts': CONFIG, 'pipeline/lab.ts': STRANGER() },
    ],
  ])('refuses %s', async (_, files) => {
    await using project = await createCliProject(files);
    const [exit, , stderr] = await checked(project);
    expect(exit).toBe(3);
    expect(stderr).toMatchSnapshot();
  });

  it('needs a project', async () => {
    await using project = await createCliProject({});
    expect(await project.run(['check', '--project', '/'])).toMatchObject({ exit: 3, stdout: '' });
  });

  it('refuses an unknown format', async () => {
    await using project = await createCliProject(LAB);
    expect((await project.run(['check', '--format', 'xml'])).exit).toBe(2);
  });
});

function CIRCLE(): Readonly<Record<string, string>> {
  return {
    'varve.config.ts': CONFIG,
    'pipeline/lab.ts': `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
const A = lab.manual('a', { key: { a: t.integer() } });
const B = lab.computed('b', { parents: [A], columns: { x: t.integer() }, reads: { a: A }, make: () => ({ x: 1 }) });
A.spec.reads.push({ name: 'b', table: 'lab.b', cardinality: 'many', columns: ['x'], match: {} });
`,
  };
}

function STRANGER(): string {
  return `
import { pipeline, t } from 'varve/pipeline';
export const lab = pipeline('lab');
const Other = pipeline('other').manual('thing', { key: { a: t.integer() } });
lab.computed('b', { parents: [Other], columns: { x: t.integer() }, reads: { a: Other }, make: () => ({ x: 1 }) });
`;
}
