import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../../../base/index.ts';
import { lintMigration, LINT_RULES, type LintScript } from './index.ts';

const here = import.meta.dirname;

describe('each rule', () => {
  test.each(LINT_RULES.map((rule) => [rule.code, rule] as const))(
    '%s finds the first part of its example and not the second',
    async (code, { example }) => {
      const lint = (text: string): Promise<readonly Finding[]> =>
        lintMigration([{ text, hasTimeouts: !code.endsWith('_timeout_missing') }], { serverMajor: 17 });
      const instead = await lint(example.instead);
      expect(instead.map((finding) => finding.code)).toContain(code);
      const write = await lint(example.write);
      expect(
        write.filter((each) => each.severity === 'error' || (each.code === code && each.severity !== 'info')),
      ).toEqual([]);
    },
  );

  test('has a fixture, and each fixture a rule', () => {
    const fixtures = globSync(`${here}/fixture/*.sql`).map((filePath) => basename(filePath, '.sql'));
    const names = LINT_RULES.map(({ code }) => code.slice('lint_'.length));
    expect(fixtures.filter((name) => name !== 'script').toSorted()).toEqual(names.toSorted());
  });

  test('speaks in sentences: why and remedy end with a full stop', () => {
    const texts = LINT_RULES.flatMap(({ why, remedy }) => [why, remedy]);
    expect(texts.filter((text) => !text.endsWith('.'))).toEqual([]);
  });
});

/**
 * A fixture is a list of cases:
 *
 * ```text
 * -- # what the case shows
 * -- @ transaction            how it runs: transaction, bare (no timeouts), server=15
 * create index on geo.place (name);
 * -- > index_not_concurrent 1:1 geo.place      what is found, from the first line of the case; nothing where none stands
 * ```
 *
 * `-- + rollback` parts the case: what follows is the rollback of what stands before it.
 */
interface Case {
  readonly title: string;
  readonly scripts: readonly LintScript[];
  readonly serverMajor: number;
  readonly want: readonly string[];
}

function casesOf(fixture: string): readonly Case[] {
  return fixture
    .split(/^-- # /m)
    .slice(1)
    .map((part) => {
      const [title = '', ...lines] = part.split('\n');
      const flags = lines.flatMap((line) => (line.startsWith('-- @ ') ? line.slice(5).split(' ') : []));
      const want = lines.flatMap((line) => (line.startsWith('-- > ') ? [line.slice(5)] : []));
      const body = lines.filter((line) => !/^-- [@>] /.test(line)).join('\n');
      const server = flags.find((flag) => flag.startsWith('server='))?.slice('server='.length);
      const inTransaction = flags.includes('transaction');
      const hasTimeouts = !flags.includes('bare');
      const scripts = body
        .split('-- + rollback\n')
        .map((text, index) => ({ text, inTransaction, hasTimeouts, isRollback: index > 0 }));
      return { title, scripts, serverMajor: Number(server ?? 18), want };
    });
}

function told({ code, severity, subject, detail }: Finding): string {
  const { line, column, allowed } = detail;
  const level = typeof allowed === 'string' ? [`allowed: ${allowed}`] : severity === 'info' ? ['info'] : [];
  return [code.replace(/^lint_/, ''), `${Number(line)}:${Number(column)}`, subject, ...level].join(' ');
}

describe.each(
  globSync(`${here}/fixture/*.sql`)
    .toSorted()
    .map((filePath) => [basename(filePath, '.sql'), filePath]),
)('fixture %s', (_, filePath) => {
  test.each(casesOf(readFileSync(filePath, 'utf8')).map((each) => [each.title, each] as const))(
    '%s',
    async (title, { scripts, serverMajor, want }) => {
      const findings = await lintMigration(scripts, { serverMajor });
      expect(
        findings.map((finding) => told(finding)),
        title,
      ).toEqual(want);
    },
  );
});

test('a finding says what is locked and done, where, and what to do instead', async () => {
  const text =
    '-- é\r\nalter table geo.visit\n  add constraint f foreign key (place_id) references geo.place;';
  expect(await lintMigration([{ file: 'forward.sql', text, hasTimeouts: true }])).toEqual([
    {
      code: 'lint_foreign_key_validated',
      severity: 'error',
      subject: 'geo.visit.f',
      detail: {
        file: 'forward.sql',
        line: 2,
        column: 1,
        reason:
          'takes SHARE ROW EXCLUSIVE on geo.visit and reads all of it, and SHARE ROW EXCLUSIVE on geo.place',
      },
      hint: 'Add the foreign key NOT VALID and validate it in a later transaction, which lets writers in.',
    },
  ]);
});

test('every statement of a file of 10,000 is looked at', async () => {
  const text = Array.from(
    { length: 10_000 },
    (_, at) =>
      `alter table geo.t${at}\n add column é text, -- varve-allow column_dropped: ${at}\n drop column b;`,
  ).join('\n');
  const findings = await lintMigration([{ text, hasTimeouts: true, inTransaction: true }]);
  expect(findings).toHaveLength(10_000);
  expect(findings.at(-1)).toMatchObject({
    code: 'lint_column_dropped',
    severity: 'info',
    subject: 'geo.t9999.b',
    detail: { line: 29_999 + 1, column: 2, allowed: '9999' },
  });
});
