import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { refusal, type Finding } from '../../base/index.ts';
import { diffFingerprints, type Difference } from '../../evidence/index.ts';
import { fingerprint, listObjects, type Fingerprint } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { readSaved, type SavedFingerprint } from '../saved-fingerprint.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';

interface FingerprintFlags {
  readonly schema?: string;
  readonly objects?: true;
  readonly against?: string;
}

/** `varve fingerprint` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve fingerprint',
    'varve fingerprint --schema lab --db postgres://localhost/lab --json',
    'varve fingerprint --objects --json > before.json',
    'varve fingerprint --against before.json',
  ])
    .option('--schema <name>', 'this schema only')
    .option('--objects', 'also each object, for a later comparison that names it and what changed of it')
    .option('--against <file>', 'compare with what was saved with --json, and name what differs')
    .action(act(run, { db: true }));
}

async function run(context: Context, flags: FingerprintFlags): Promise<CommandResult> {
  const saved =
    flags.against === undefined
      ? undefined
      : readSaved(
          flags.against,
          await readFile(resolve(context.io.workingDir, flags.against), 'utf8').catch(() => ''),
        );
  if (saved?.status === 'refused') return saved;
  const store = await context.store();
  const scope = flags.schema === undefined ? {} : { scope: { schemas: [flags.schema] } };
  const wantsObjects = flags.objects === true || saved?.fingerprint.objectList !== undefined;
  const found = await store.transaction(
    { readOnly: true, isolation: 'repeatable read' },
    async (reader): Promise<SavedFingerprint> => {
      const whole = await fingerprint(reader, { ...scope, byTable: true });
      const objectList = wantsObjects ? await listObjects(reader, scope.scope) : undefined;
      return {
        ...whole,
        ...(flags.schema === undefined ? {} : { of: flags.schema }),
        ...(objectList && { objectList }),
      };
    },
  );
  if (flags.schema !== undefined && found.schemas.length === 0) {
    const finding = refusal('unknown_table', flags.schema, {
      detail: { reason: 'no schema of this name' },
      hint: 'Ask varve fingerprint for the schemas there are.',
    });
    return { status: 'refused', findings: [finding] };
  }
  if (saved === undefined) {
    return { status: 'ok', fields: { ...found }, text: (style) => fingerprintText(style, found) };
  }
  return compared(flags.against ?? '', saved.fingerprint, found);
}

function compared(file: string, before: SavedFingerprint, after: SavedFingerprint): CommandResult {
  const incomparable = (['algorithm', 'major', 'of'] as const).find((name) => before[name] !== after[name]);
  if (incomparable !== undefined) {
    const finding = refusal('fingerprint_incomparable', file, {
      detail: {
        differs: incomparable,
        saved: before[incomparable] ?? null,
        found: after[incomparable] ?? null,
      },
      hint: 'Save a fingerprint of the same algorithm, server version and schema, and compare with that.',
    });
    return { status: 'refused', findings: [finding] };
  }
  const differences = diffFingerprints(before, after);
  const isSame = before.strictDigest === after.strictDigest;
  const fields = { same: isSame, digest: after.digest, strictDigest: after.strictDigest, differences };
  if (isSame) return { status: 'ok', fields, text: () => `The same: ${after.digest}` };
  return {
    status: 'refused',
    findings: [differs(file, before, after, differences)],
    fields,
    text: (style) => differencesText(style, differences),
  };
}

function differs(
  file: string,
  before: Fingerprint,
  after: Fingerprint,
  differences: readonly Difference[],
): Finding {
  return refusal('fingerprint_differs', file, {
    detail: { saved: before.strictDigest, found: after.strictDigest, differences: differences.length },
    hint:
      before.digest === after.digest
        ? 'Only the order of columns differs: if it has to be kept, make the table anew.'
        : 'Find out who changed these objects; save a new fingerprint if the change was meant.',
  });
}

function differencesText(style: Style, differences: readonly Difference[]): string {
  const heads = [{ head: 'change' }, { head: 'kind' }, { head: 'name' }, { head: 'what' }];
  return tableText(
    style,
    heads,
    differences.map(({ change, kind, schema, table, name, properties }) => [
      change,
      kind,
      [schema, table === name ? null : table, name].filter(Boolean).join('.') || '(database)',
      properties.join(', '),
    ]),
  );
}

function fingerprintText(
  style: Style,
  { algorithm, major, schemas, digest, strictDigest }: Fingerprint,
): string {
  const heads = [
    { head: 'schema' },
    { head: 'kind' },
    { head: 'objects', align: 'right' as const },
    { head: 'digest' },
  ];
  const lines = schemas.flatMap(({ schema, kinds }) =>
    kinds.map((line) => [
      schema || '(database)',
      line.kind,
      countText(line.objects),
      line.digest.slice(0, 19),
    ]),
  );
  return `${tableText(style, heads, lines)}\n\n${algorithm}, PostgreSQL ${major}\n${digest}\n${strictDigest} with the order of columns`;
}
