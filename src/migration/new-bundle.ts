/** `varve new`: a bundle to be filled in. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { refusal, type Clock, type Finding } from '../base/index.ts';
import { freeMigrationId, readBundle, type Bundle } from './bundle.ts';
import { ANY_APPROVER } from './declaration.ts';
import { hasCode, makeFolder, writeDurable } from './durable.ts';
import type { KindName } from './migration-id.ts';
import { TO_DO } from './notes.ts';
import type { Refused } from './refused.ts';
import { registerBundle } from './registry.ts';

/** What a new bundle begins with. */
export interface NewBundleOptions {
  readonly root: string;
  readonly kind: KindName;
  /** In plain words, what it is for. */
  readonly intent?: string;
  /** The principal who writes it. */
  readonly by: string;
  readonly clock: Clock;
  /** Ids that are known from elsewhere, such as from the ledger of a database. */
  readonly taken?: readonly string[];
}

/**
 * Writes a bundle of today's next free number and enters it in the registry. Nothing that is there is overwritten.
 *
 * Errors: refuses with `kind_unavailable` for a kind whose bundles nobody writes by hand here, `bundle_invalid`,
 * `declaration_invalid` where the intent cannot stand, and what `registerBundle` refuses with.
 */
export async function newBundle(
  options: NewBundleOptions,
): Promise<
  { readonly status: 'written'; readonly bundle: Bundle; readonly files: readonly string[] } | Refused
> {
  const { root, kind, intent = 'TODO: what it changes, and why', by, clock } = options;
  if (kind !== 'postgis') return refused(unwritten(kind));
  if (intent.length > 500 || intent.trim() === '') return refused(badIntent());
  const id = await reserveFolder(options);
  if (typeof id !== 'string') return refused(id);
  const files = postgisFiles(id, intent, by);
  for (const [path, text] of Object.entries(files)) {
    await writeDurable(join(root, kind, id, path), new TextEncoder().encode(text));
  }
  const reading = await readBundle(root, id);
  if (reading.status === 'refused') return reading;
  const entered = await registerBundle(root, reading.bundle, { owners: [by], by, clock });
  if (entered.status === 'refused') return entered;
  return { status: 'written', bundle: reading.bundle, files: Object.keys(files) };
}

/** Makes the folder of the next free id; made exclusively, so that two that begin at once do not share one. */
async function reserveFolder({ root, kind, clock, taken = [] }: NewBundleOptions): Promise<string | Finding> {
  const tried: string[] = [...taken];
  for (;;) {
    const id = await freeMigrationId(root, kind, { nowMs: clock.nowMs(), taken: tried });
    if (id === undefined)
      return refusal('bundle_invalid', 'migrations', { hint: 'The 99 ids of this day are used up.' });
    const folder = join(root, kind, id);
    await makeFolder(dirname(folder));
    try {
      await mkdir(folder);
      return id;
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      tried.push(id);
    }
  }
}

function unwritten(kind: KindName): Finding {
  const hint =
    kind === 'pipeline'
      ? 'Edit the definitions, then run `varve plan`: it writes the bundle.'
      : kind === 'document'
        ? 'Run `varve document plan --column schema.table.column`: it counts all documents and writes the bundle.'
        : 'Write a postgis migration: bundles of this kind are not run by this release.';
  return refusal('kind_unavailable', kind, { hint });
}

function badIntent(): Finding {
  return refusal('declaration_invalid', '--intent', {
    detail: { reason: 'length' },
    hint: 'Say it in 1 to 500 characters.',
  });
}

function refused(finding: Finding): Refused {
  return { status: 'refused', findings: [finding] };
}

/** The declaration comes last: a folder without it is no bundle, so a kill in between leaves nothing that could be run. */
function postgisFiles(id: string, intent: string, by: string): Readonly<Record<string, string>> {
  return {
    'forward.sql': `-- ${id}: the way there. One transaction; every statement is held to the scope and limits of migration.yml.\n`,
    'rollback.sql': `-- ${id}: the way back, statement by statement. Comments alone take nothing back.\n`,
    'notes.md': notes(),
    'migration.yml': declaration(id, intent, by),
  };
}

function notes(): string {
  const parts: readonly (readonly [string, string])[] = [
    ['Why', 'What is wrong today, and what is better afterwards.'],
    ['Risks', 'What could go wrong, for whom, and how it would be noticed.'],
    ['Rollout', 'In which order it runs where, and who has to know before.'],
    ['Rollback', 'What the way back does, and what it cannot give back.'],
    ['Rollback verification', 'How to see that the way back led to where it began.'],
  ];
  return parts.map(([heading, question]) => `# ${heading}\n\n<!-- ${question} -->\n\n${TO_DO}\n`).join('\n');
}

function declaration(id: string, intent: string, by: string): string {
  return `# What this migration may do, and nothing else. Unknown keys are refused.
migration_id: ${id}
type: postgis
# In plain words, up to 500 characters.
intent: ${JSON.stringify(intent)}

# Every table that is touched, by a trigger or a cascade too: its schema and itself have to be allowed, and forbidden wins.
# Write names as the catalog has them, a table as name or schema.name. An empty list allows nothing; no wildcards.
scope:
  allowed_schemas: []
  allowed_tables: []
  # Free-standing functions, types, sequences, extensions.
  allowed_objects: []
  forbidden_schemas: []
  forbidden_tables: []
  forbidden_objects: []

# Whole numbers; what is not written is 0.
limits:
  # Tables, views and partitions that are touched, new ones too.
  max_table_count_touched: 0
  # Indexes made, dropped and rebuilt, those of constraints too.
  max_index_count_delta: 0
  # Rows inserted, changed and deleted; a rewritten table counts all of its rows.
  max_row_backfill: 0

# false needs approvals.reference, approvals.safety_strategy and a signature with --irreversible.
requires_rollback: true

approvals:
  # Principals, such as ${by}, or groups; ${ANY_APPROVER} is anyone with an approver's key.
  required_reviewers: ['${ANY_APPROVER}']
  # routine, review-required or governance-critical.
  change_class: routine
  # reference: the decision record
  # safety_strategy: dual-write, shadow-index, alias-flip, blue-green, forward-fix or rebuild-from-source

artifacts:
  forward: [forward.sql]
  rollback: [rollback.sql]
  # attachments: [what the scripts read]

# Without phases all forward files are one transaction. What cannot run in one, comes first:
# phases:
#   - { file: index.sql, mode: nontransactional }
#   - { file: forward.sql, mode: transactional }

# Refused unless named here: dynamic_sql, do, call, temporary_tables.
# statements: []

# Queries whose one value has to be this one before the commit.
# invariants:
#   - name: every site has a code
#     query: select count(*) from app.site where code is null
#     expect: 0

# Migrations that come before, and that this one replaces.
# after: []
# supersedes: []
`;
}
