import { describe, expect, it } from 'vitest';
import { readDeclaration } from './read-declaration.ts';

const ID = 'PG-MIG-2026-03-01-01';
const YAML = `migration_id: ${ID}
type: postgis
intent: Sites get a code.
scope:
  allowed_schemas: [app]
  allowed_tables: [site, app.visit]
  allowed_objects: [app.site_code]
  forbidden_schemas: []
  forbidden_tables: [secret]
limits:
  max_table_count_touched: 2
  max_row_backfill: 100
requires_rollback: true
approvals:
  required_reviewers: [group:approvers, user:eve]
  change_class: review-required
  reference: decisions/7
runner:
  tool: psql
  command: psql -f forward.sql
  environment: [DATABASE_URL]
artifacts:
  forward: [forward.sql]
  rollback: [rollback.sql]
  attachments: [codes.csv]
  baselines: { pre: baselines/pre.json, post: baselines/post.json }
  diffs: { summary: diffs/summary.json, touched: diffs/touched.csv }
statements: [dynamic_sql]
invariants:
  - name: every site has a code
    query: select count(*) from app.site where code is null
    expect: 0
after: [PG-MIG-2026-02-28-01]
supersedes: [PG-MIG-2026-02-28-02]
`;

const read = (text: string) => readDeclaration(text, { id: ID, kind: 'postgis' });

/** The findings as `place reason`. */
async function reasons(text: string): Promise<readonly string[]> {
  const reading = await read(text);
  if (reading.status === 'ok') return [];
  return reading.findings.map(({ subject, detail }) => {
    const said = detail['reason'] ?? detail['rule'];
    return `${subject} ${typeof said === 'string' ? said : ''}`;
  });
}

type Spoil = (text: string) => string;
const put =
  (what: string | RegExp, instead: string): Spoil =>
  (text) =>
    text.replace(what, instead);
const add =
  (line: string): Spoil =>
  (text) =>
    `${text}${line}\n`;

describe('migration.yml', () => {
  it('M9 is read whole', async () => {
    expect(await read(YAML)).toMatchObject({
      status: 'ok',
      declaration: {
        migration_id: ID,
        approvals: { required_reviewers: ['group:approvers', 'user:eve'], reference: 'decisions/7' },
        runner: { environment: ['DATABASE_URL'] },
        invariants: [{ expect: 0 }],
      },
    });
  });

  it('M22 takes an absent limit for 0, so none has to be written', async () => {
    const reading = await read(YAML.replace(/limits:\n.*\n.*\n/u, 'limits: {}\n'));
    expect(reading).toMatchObject({ status: 'ok', declaration: { limits: {} } });
  });

  it.each<readonly [string, Spoil, RegExp]>([
    ['M9 a key it does not know', add('colour: red'), /^migration\.yml:35:1 must NOT have additional/u],
    [
      'M9 an unknown key of artifacts',
      put('artifacts:\n', 'artifacts:\n  forwards: [x]\n'),
      /:23:3 must NOT/u,
    ],
    ['M9 an unknown key of approvals', put('approvals:\n', 'approvals:\n  by: [x]\n'), /:15:3 must NOT/u],
    ['M9 an unknown key of runner', put('runner:\n', 'runner:\n  shell: sh\n'), /:19:3 must NOT/u],
    [
      'M9 an unknown key of an invariant',
      put('    expect: 0', '    expect: 0\n    or: 1'),
      /:33:5 must NOT/u,
    ],
    ['M9 an unknown key of baselines', put('{ pre:', '{ mid: x, pre:'), /must NOT/u],
    ['M9 a list of another kind', put('allowed_objects', 'allowed_labels'), /:7:3 must NOT/u],
    ['M9 a limit of another kind', put('max_row_backfill', 'max_row_rekey'), /:12:3 must NOT/u],
    ['M9 no intent', put('intent: Sites get a code.\n', ''), /must have required property 'intent'/u],
    ['M9 an intent too long', put('Sites get a code.', 'x'.repeat(501)), /must NOT have more than 500/u],
    ['M9 a product in another place', put('baselines/pre.json', 'pre.json'), /must be equal to constant/u],
    ['M9 nobody who signs', put('[group:approvers, user:eve]', '[]'), /must NOT have fewer than 1/u],
    ['M9 an unknown class', put('review-required', 'harmless'), /must be equal to one of/u],
    ['M9 a value where a secret is referred to', put('[DATABASE_URL]', '["postgres://x"]'), /must match/u],
    ['M10 a key twice', add('intent: again'), /:35:1 duplicate_key$/u],
    ['M10 an alias', put('after: [', 'store: &a x\nafter: [*a, '), /anchor|alias/u],
    ['M10 a merge key', add('<<: { store: x }'), /merge_key/u],
    ['M10 a tag', put('intent: Sites', 'intent: !!str Sites'), /tag/u],
    ['M10 an unknown tag', put('intent: Sites', 'intent: !secret Sites'), /tag/u],
    ['M10 a second document', add('---\na: 1'), /multiple_docs/u],
    ['M10 a key that is no text', add('1: x'), /key_not_text/u],
    ['M10 a key that is a list', add('? [a]\n: x'), /key_not_text/u],
    ['M10 a directive', (text) => `%TAG ! tag:x,2000:\n---\n${text}`, /directive/u],
    ['M10 another version of YAML', (text) => `%YAML 1.1\n---\n${text}`, /directive/u],
    ['M10 a text that is no map', () => 'hello', /must be object/u],
    ['M10 nothing', () => '', /must be object/u],
    ['M10 `no` for a truth value', put('rollback: true', 'rollback: no'), /must be boolean/u],
    ['M10 a date among ids', put('[PG-MIG-2026-02-28-01]', '[2026-01-01]'), /must match pattern/u],
    ['M22 a limit below 0', put('backfill: 100', 'backfill: -1'), /:12:21 number_not_plain$/u],
    ['M22 a limit with a sign', put('backfill: 100', 'backfill: +1'), /number_not_plain/u],
    ['M22 a limit with an exponent', put('backfill: 100', 'backfill: 1e2'), /number_not_plain/u],
    ['M22 a limit without end', put('backfill: 100', 'backfill: 1e999'), /number_not_plain/u],
    ['M22 a limit as .inf', put('backfill: 100', 'backfill: .inf'), /number_not_plain/u],
    ['M22 a limit as .nan', put('backfill: 100', 'backfill: .nan'), /number_not_plain/u],
    ['M22 a limit as hex', put('backfill: 100', 'backfill: 0x10'), /number_not_plain/u],
    ['M22 a limit as octal', put('backfill: 100', 'backfill: 0o10'), /number_not_plain/u],
    ['M22 a limit with a leading 0', put('backfill: 100', 'backfill: 010'), /number_not_plain/u],
    ['M22 a limit with a fraction', put('backfill: 100', 'backfill: 1.0'), /number_not_plain/u],
    ['M22 a limit as text', put('backfill: 100', 'backfill: "5"'), /must be integer/u],
    ['M22 a limit null', put('backfill: 100', 'backfill: null'), /must be integer/u],
    ['M22 a limit without value', put('backfill: 100', 'backfill:'), /must be integer/u],
    [
      'M22 a limit too large',
      put('backfill: 100', 'backfill: 9007199254740992'),
      /must be <= 9007199254740991/u,
    ],
    [
      'M22 a limit so large that it rounds',
      put('backfill: 100', 'backfill: 9007199254740991.4'),
      /not_plain/u,
    ],
    ['M2 another id', put(ID, 'PG-MIG-2026-03-01-02'), /:1:1 id_differs_from_folder/u],
    ['M2 another type', put('type: postgis', 'type: graph'), /:2:1 type_differs_from_prefix/u],
    ['M14 a list left out', put('  forbidden_schemas: []\n', ''), /:4:1 .*'forbidden_schemas'/u],
    ['M17 a wildcard', put('[site,', '["s*",'), /:6:20 wildcard/u],
    ['M17 a name allowed and forbidden', put('[secret]', '[site]'), /:6:20 allowed_and_forbidden/u],
    ['M21 schema varve', put('[app]', '[app, varve]'), /:5:26 own_catalog/u],
    ['M21 a table of varve', put('app.visit', 'varve.ledger'), /own_catalog/u],
    ['M21 the history', put('[app]', '[varve_history]'), /own_catalog/u],
    ['M21 the catalog of the server', put('[app]', '[pg_catalog]'), /own_catalog/u],
    ['M21 a role', put('app.site_code', 'role writer'), /shared_object/u],
    ['M21 a publication', put('app.site_code', 'publication all_tables'), /shared_object/u],
    ['M21 an event trigger', put('app.site_code', 'EVENT  TRIGGER guard'), /shared_object/u],
    ['M46 no file of the way back', put('[rollback.sql]', '[]'), /:22:1 rollback_missing/u],
    ['M46 no way back named at all', put('  rollback: [rollback.sql]\n', ''), /rollback_missing/u],
    ['M47 no strategy', put('rollback: true', 'rollback: false'), /:14:1 irreversible_unexplained/u],
    ['M5 a file named twice', put('[codes.csv]', '[forward.sql]'), /file_named_twice/u],
    ['M9 a file of another language', put('[forward.sql]', '[forward.json]'), /file_of_another_kind/u],
    [
      'M91 phases that leave a file out',
      add('phases: [{ file: x.sql, mode: transactional }]'),
      /phases_differ/u,
    ],
    [
      'M91 a check in a transaction',
      add('phases: [{ file: forward.sql, mode: transactional, check: select 1 }]'),
      /compensation_of_transaction/u,
    ],
    [
      'M8 itself as what comes before',
      put('after: [PG-MIG-2026-02-28-01]', `after: [${ID}]`),
      /names_itself/u,
    ],
    ['M2 a day that never was', put('2026-02-28-02', '2026-02-30-02'), /no_such_day/u],
  ])('F23 is refused at its line and column: %s', async (_what, spoil, want) => {
    const spoilt = spoil(YAML);
    expect(spoilt).not.toBe(YAML);
    const found = await reasons(spoilt);
    expect(
      found.some((one) => want.test(one)),
      found.join('\n'),
    ).toBe(true);
  });

  it('M47 needs no way back where the reference and the strategy are written', async () => {
    const spoilt = YAML.replace('rollback: true', 'rollback: false')
      .replace('  rollback: [rollback.sql]\n', '')
      .replace('  reference:', '  safety_strategy: forward-fix\n  reference:');
    expect(await read(spoilt)).toMatchObject({
      status: 'ok',
      declaration: { artifacts: { rollback: [] }, requires_rollback: false },
    });
  });

  it('M10 keeps `no` and a date as text', async () => {
    const spoilt = YAML.replace('intent: Sites get a code.', 'intent: no').replace(
      'decisions/7',
      '2026-01-01',
    );
    expect(await read(spoilt)).toMatchObject({
      declaration: { intent: 'no', approvals: { reference: '2026-01-01' } },
    });
  });

  it('M9 names the nearest key for one that it does not know', async () => {
    const reading = await read(YAML.replace('max_row_backfill', 'max_row_backfil'));
    expect(reading).toMatchObject({
      findings: [{ hint: 'Write max_row_backfill, or take max_row_backfil out.' }],
    });
  });

  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('');
  it.each<readonly [string, string]>([
    [
      'aliases that multiply',
      letters
        .map((name, at) => `${name}: &${name} [*${letters[at - 1] ?? 'x'}, *${letters[at - 1] ?? 'x'}]`)
        .join('\n'),
    ],
    ['deep nesting', `a: ${'['.repeat(20_000)}`],
    ['deep nesting that closes', `a: ${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['deep block lists', `a:\n ${'- '.repeat(50_000)}x`],
    ['many keys', Array.from({ length: 20_000 }, (_, at) => `k${at}: 1`).join('\n')],
    ['a huge number', `a: ${'9'.repeat(200_000)}`],
    ['a huge text', `intent: ${'x'.repeat(5_000_000)}`],
    ['a long list of names', YAML.replace('[app]', `[${'a,'.repeat(20_000)}]`)],
  ])('M10 is refused, quickly, with %s', async (_what, text) => {
    const begin = performance.now();
    expect((await reasons(text)).length).toBeGreaterThan(0);
    expect(performance.now() - begin).toBeLessThan(10_000);
  });
});
