import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, type Finding } from '../../base/index.ts';
import type { CheckPart } from './check-part.ts';
import { junitText } from './junit.ts';
import { sarifText } from './sarif.ts';

const finding: fc.Arbitrary<Finding> = fc.record({
  code: fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])),
  severity: fc.constantFrom('error', 'review', 'warning', 'info'),
  subject: fc.oneof(fc.string({ unit: 'binary' }), fc.constant('src/lab.ts:3:4')),
  detail: fc.oneof(
    fc.constant({}),
    fc.record({
      file: fc.string({ minLength: 1 }),
      line: fc.integer({ min: 1 }),
      column: fc.integer({ min: 1 }),
    }),
    fc.record({
      uses: fc.string({ unit: 'binary' }),
      allowed: fc.string({ unit: 'grapheme', minLength: 1 }),
    }),
  ),
  hint: fc.string({ unit: 'grapheme' }),
});
const parts: fc.Arbitrary<readonly CheckPart[]> = fc.array(
  fc.record({ name: fc.string(), checked: fc.nat(), findings: fc.array(finding, { maxLength: 4 }) }),
  { maxLength: 3 },
);

const text = {
  type: 'object',
  required: ['text'],
  additionalProperties: false,
  properties: { text: { type: 'string' } },
};

/** What the published schema of SARIF 2.1.0 asks of the members that are written here; no others are known. */
const SARIF = {
  type: 'object',
  required: ['version', 'runs'],
  additionalProperties: false,
  properties: {
    $schema: { type: 'string' },
    version: { const: '2.1.0' },
    runs: { type: 'array', items: { $ref: '#/$defs/run' } },
  },
  $defs: {
    run: {
      type: 'object',
      required: ['tool'],
      additionalProperties: false,
      properties: {
        columnKind: { enum: ['utf16CodeUnits', 'unicodeCodePoints'] },
        tool: {
          type: 'object',
          required: ['driver'],
          additionalProperties: false,
          properties: { driver: { $ref: '#/$defs/driver' } },
        },
        results: { type: 'array', items: { $ref: '#/$defs/result' } },
      },
    },
    driver: {
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: {
        name: { type: 'string' },
        version: { type: 'string' },
        rules: { type: 'array', uniqueItems: true, items: { $ref: '#/$defs/rule' } },
      },
    },
    rule: {
      type: 'object',
      required: ['id'],
      additionalProperties: false,
      properties: { id: { type: 'string' }, shortDescription: text, fullDescription: text, help: text },
    },
    result: {
      type: 'object',
      required: ['message'],
      additionalProperties: false,
      properties: {
        ruleId: { type: 'string' },
        ruleIndex: { type: 'integer', minimum: -1 },
        level: { enum: ['none', 'note', 'warning', 'error'] },
        message: text,
        locations: { type: 'array', items: { $ref: '#/$defs/location' } },
        suppressions: {
          type: 'array',
          uniqueItems: true,
          items: {
            type: 'object',
            required: ['kind'],
            additionalProperties: false,
            properties: { kind: { enum: ['inSource', 'external'] }, justification: { type: 'string' } },
          },
        },
      },
    },
    location: {
      type: 'object',
      additionalProperties: false,
      properties: {
        physicalLocation: {
          type: 'object',
          required: ['artifactLocation'],
          additionalProperties: false,
          properties: {
            artifactLocation: {
              type: 'object',
              additionalProperties: false,
              properties: {
                uri: { type: 'string', pattern: '^[^ "<>^`{|}\\\\]*$' },
                uriBaseId: { type: 'string' },
              },
            },
            region: {
              type: 'object',
              additionalProperties: false,
              properties: {
                startLine: { type: 'integer', minimum: 1 },
                startColumn: { type: 'integer', minimum: 1 },
              },
            },
          },
        },
        logicalLocations: {
          type: 'array',
          uniqueItems: true,
          items: {
            type: 'object',
            additionalProperties: false,
            properties: { fullyQualifiedName: { type: 'string' } },
          },
        },
      },
    },
  },
};

describe('SARIF', () => {
  test('is what the published schema asks for, whatever is found', () => {
    const validate = new Ajv({ strict: false }).compile(SARIF);
    fc.assert(
      fc.property(parts, (given) => {
        const log: unknown = JSON.parse(sarifText(given, '1.0.0'));
        expect(validate(log), JSON.stringify(validate.errors)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('says of a rule of the lint why it is there and what to do', () => {
    const found: Finding = {
      code: 'lint_table_dropped',
      severity: 'error',
      subject: 'geo.a',
      detail: {},
      hint: 'x',
    };
    const log: unknown = JSON.parse(sarifText([{ name: 'scripts', checked: 1, findings: [found] }], '1.0.0'));
    expect(log).toMatchObject({
      runs: [
        {
          tool: {
            driver: { rules: [{ fullDescription: { text: expect.stringContaining('for good') as string } }] },
          },
        },
      ],
    });
  });

  test('tells each rule once, with why and what to do, and what is allowed as suppressed', () => {
    const allowed: Finding = {
      code: 'undeclared_clock',
      severity: 'info',
      subject: 'lab.grade',
      detail: { file: 'src/a b.ts', line: 3, column: 5, uses: 'Date.now', allowed: 'only for the log' },
      hint: 'x',
    };
    const found = {
      ...allowed,
      severity: 'error',
      detail: { file: 'src/a.ts', line: 9, column: 1 },
    } as const;
    const log: unknown = JSON.parse(
      sarifText([{ name: 'sources', checked: 1, findings: [allowed, found] }], '1.0.0'),
    );
    expect(log).toMatchObject({
      runs: [
        {
          tool: {
            driver: {
              rules: [
                {
                  id: 'undeclared_clock',
                  fullDescription: { text: expect.stringContaining('another result') as string },
                  help: { text: expect.stringContaining('`now`') as string },
                },
              ],
            },
          },
          results: [
            {
              level: 'note',
              ruleIndex: 0,
              locations: [{ physicalLocation: { artifactLocation: { uri: 'src/a%20b.ts' } } }],
              suppressions: [{ kind: 'inSource', justification: 'only for the log' }],
            },
            { level: 'error', ruleIndex: 0 },
          ],
        },
      ],
    });
    expect((log as { runs: { results: object[] }[] }).runs[0]?.results[1]).not.toHaveProperty('suppressions');
  });
});

describe('JUnit', () => {
  test('is well-formed XML whose counts are right, whatever is found', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const tags = elementsOf(junitText(given, 'varve check'));
        const count = (name: string) => tags.filter((tag) => tag.name === name).length;
        expect(tags[0]?.attributes).toMatchObject({
          tests: String(count('testcase')),
          failures: String(count('failure')),
        });
        expect(count('testsuite')).toBe(given.length);
      }),
      { numRuns: 300 },
    );
  });

  test('gives back what was written', () => {
    const subject = `a<b> & "c" 'd' ]]> \t\u{1f600}`;
    const [, , testcase] = elementsOf(
      junitText(
        [
          {
            name: 'sources',
            checked: 1,
            findings: [{ code: 'internal', severity: 'error', subject, detail: {}, hint: 'x' }],
          },
        ],
        'varve check',
      ),
    );
    expect(testcase?.attributes['name']).toBe(`internal ${subject}`);
  });
});

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const ENTITY: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The elements of a document in the order of their beginnings; throws where it is not well-formed XML 1.0. */
function elementsOf(document: string): readonly Element[] {
  const fault = (why: string, at: string): never => {
    throw new Error(`${why}: ${at}`);
  };
  if (/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(document))
    fault('character', document);
  const body = document.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  const elements: Element[] = [];
  const open: string[] = [];
  const decoded = (raw: string): string =>
    raw.replaceAll(/&(?:#(\d+)|(\w+));|[&<]/g, (all, code: string | undefined, name: string | undefined) => {
      if (code !== undefined) return String.fromCodePoint(Number(code));
      return ENTITY[name ?? ''] ?? fault('entity', all);
    });
  for (const [piece] of body.matchAll(/<[^>]*>|[^<]+/g)) {
    if (!piece.startsWith('<')) {
      if (open.length === 0 && piece.trim() !== '') fault('text outside', piece);
      if (piece.includes(']]>')) fault('end of a section', piece);
      decoded(piece);
      continue;
    }
    const groups = /^<(?<close>\/?)(?<name>[\w-]+)(?<rest>(?: [\w-]+="[^"<]*")*)(?<empty>\/?)>$/.exec(
      piece,
    )?.groups;
    if (groups === undefined) return fault('tag', piece);
    const { close, name = '', rest = '', empty } = groups;
    if (close === '/') {
      if (open.pop() !== name) fault('nesting', piece);
      continue;
    }
    const attributes = [...rest.matchAll(/ (?<key>[\w-]+)="(?<value>[^"]*)"/g)].map(
      (match) => [match.groups?.['key'] ?? '', decoded(match.groups?.['value'] ?? '')] as const,
    );
    elements.push({ name, attributes: Object.fromEntries(attributes) });
    if (empty !== '/') open.push(name);
  }
  if (open.length > 0) fault('never closed', open.join());
  return elements;
}
