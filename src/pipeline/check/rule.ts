import type { OutsideCode } from './outside.ts';

/** A rule of the check of sources, for people: why it is there and what to do. */
export interface CheckRule {
  readonly code: OutsideCode | 'source_unresolved' | 'allowance_invalid';
  /** The word of a comment that allows it, or undefined where nothing can. */
  readonly allow: string | undefined;
  /** What is found, in examples. */
  readonly finds: string;
  readonly why: string;
  readonly remedy: string;
}

type RuleText = Omit<CheckRule, 'code'>;

const RULES: Readonly<Record<CheckRule['code'], RuleText>> = {
  allowance_invalid: {
    allow: undefined,
    finds: '`// varve-allow clock` without a reason; one that names no rule; one that nothing needs',
    why: 'An exception that nobody can explain is forgotten and stays; one that nothing needs hides the next finding.',
    remedy:
      'Write `// varve-allow RULE: REASON` on the line of the finding or above it, or remove the comment.',
  },
  source_unresolved: {
    allow: undefined,
    finds:
      'a definition that is no call of its pipeline in the file it stands in; a table whose name is computed',
    why: 'What was not read was not checked.',
    remedy:
      'Define the table by a call of its pipeline with its name as text: `lab.computed("name", { ... })`.',
  },
  undeclared_client: {
    allow: 'client',
    finds:
      '`pg`, `mysql2`, `better-sqlite3`, `mongodb`, `redis`, `knex`, `typeorm`, `drizzle-orm`, `new Kysely()` and their like',
    why: 'What a connection of its own reads is recorded nowhere: `stale` and `cascade` cannot know of it.',
    remedy:
      'Declare the tables that it reads under `reads` and take them from the first argument of the make.',
  },
  undeclared_clock: {
    allow: 'clock',
    finds: '`Date.now()`, `new Date()`, `performance.now()`, `process.hrtime()`, `setTimeout`, `dayjs()`',
    why: 'Computed again, the same inputs would give another result.',
    remedy: 'Use `now` of the context, the time of the run: `make: (reads, { now }) => ...`.',
  },
  undeclared_environment: {
    allow: 'environment',
    finds:
      '`process.env`, `process.cwd()`, `node:os`, `node:child_process`, `toLocaleString()` without a locale, `date.getHours()`',
    why: 'Another machine, another language or another time zone would give another result.',
    remedy:
      'Put the value into a column or a `lookup` table and declare it under `reads`, so that a change of it shows.',
  },
  undeclared_files: {
    allow: 'files',
    finds: '`node:fs` and packages that read files, in a `computed` table',
    why: 'A file that is read past the context is recorded nowhere, so a change of it makes nothing stale.',
    remedy: "Use `files` of the context: `make: async (reads, { files }) => await files.text('PATH')`.",
  },
  undeclared_network: {
    allow: 'network',
    finds: '`fetch`, `node:http`, `axios`, `got`, `undici`, clients of services',
    why: 'What a server answers today it may not answer tomorrow, and nothing records what it said.',
    remedy:
      'Fetch beforehand into a `manual` table or a file of the project, and read that: `reads`, or `files` of the context.',
  },
  undeclared_randomness: {
    allow: 'randomness',
    finds: '`Math.random()`, `crypto.randomUUID()`, `uuid`, `nanoid`, `lodash.shuffle`',
    why: 'Computed again, the same inputs would give another result.',
    remedy: 'Use `random` of the context, whose seed is the key: `make: (reads, { random }) => ...`.',
  },
  undeclared_read: {
    allow: 'read',
    finds: 'a table in a call of a query builder, or in the text of a statement, that `reads` does not name',
    why: 'A result depends on rows that nobody knows it depends on.',
    remedy:
      'Declare the table under `reads`; the hint of each finding says how, with the foreign key where one is missing.',
  },
};

/** The rule of a code. */
export function ruleOf(code: CheckRule['code']): CheckRule {
  return { code, ...RULES[code] };
}

/** The rules, in the order of their codes. */
export const CHECK_RULES: readonly CheckRule[] = (Object.keys(RULES) as readonly CheckRule['code'][]).map(
  (code) => ruleOf(code),
);
