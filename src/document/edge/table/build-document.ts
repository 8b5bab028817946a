/** One document of a table: what is to be written for it, or why it stays. */
import { hash } from 'node:crypto';
import { planBetween, type Model } from '../../model.ts';
import type { Migrated, Outcome } from '../../outcome.ts';
import type { Provenance } from '../../provenance.ts';
import type { Residue } from '../../residue-row.ts';
import { migrateText } from '../../text.ts';
import type { Version } from '../../version.ts';
import { outOfScope, parseJson, pointersOutside, type AllowedPaths } from '../changed-pointer.ts';
import type { BuiltDocument, Original, StoredDocument } from './document-table.ts';

/** What a run says of all its documents. */
export interface BuildOptions {
  readonly model: Model;
  readonly to: Version;
  /** The one time of the run, ISO 8601. */
  readonly now: string;
  readonly run: string;
  /** What provenance says the run was. Default its id. */
  readonly named?: string;
  readonly allowLossy: boolean;
  /** Where the run may change something; absent: anywhere. */
  readonly allowedPaths?: AllowedPaths;
}

/** What stands beside a document in its row of history. */
export interface BesideDocument {
  readonly provenance: Provenance;
  readonly residue: Residue;
}

/** SHA-256 of a text, in hex. */
export function textDigest(text: string): string {
  return hash('sha256', text, 'hex');
}

/** Moves one document to the version of the run. */
export function buildDocument({ key, text }: StoredDocument, options: BuildOptions): BuiltDocument {
  const { model, to, now, named: run = options.run, allowLossy } = options;
  const base = { key, was: textDigest(text), ...NOTHING };
  const outcome = migrateText(model, Buffer.from(text, 'utf8'), to, { now, run, allowLossy });
  return builtFrom(base, text, outcome, options);
}

const NOTHING = {
  text: null,
  from: null,
  path: null,
  isLossy: false,
  assumed: 0,
  beside: null,
  findings: null,
} as const;

type Base = Pick<BuiltDocument, 'key' | 'was'> & typeof NOTHING;

function builtFrom(
  base: Base,
  before: string,
  outcome: Outcome<Uint8Array>,
  options: BuildOptions,
): BuiltDocument {
  switch (outcome.status) {
    case 'refused':
      return { ...base, status: 'quarantined', findings: JSON.stringify(outcome.findings) };
    case 'needs_migration':
      return { ...base, status: 'passed' };
    case 'current':
    case 'passed':
      return { ...base, status: outcome.status };
    case 'migrated':
      return migrated(base, before, outcome, options);
  }
}

function migrated(
  base: Base,
  before: string,
  outcome: Migrated<Uint8Array>,
  { model, to, allowLossy, allowedPaths }: BuildOptions,
): BuiltDocument {
  const { document, from, path, provenance, residue, assumed, findings } = outcome;
  const text = Buffer.from(document).toString('utf8');
  const outside =
    allowedPaths === undefined
      ? []
      : pointersOutside(model, allowedPaths, parseJson(before), parseJson(text));
  if (outside.length > 0)
    return { ...base, status: 'quarantined', findings: JSON.stringify([outOfScope(model, outside)]) };
  const isBeside =
    model.policy.provenance === 'beside' || findings.some(({ code }) => code === 'kept_beside');
  const hasLoose = residue.some((row) => row.kept === undefined && row.value !== undefined);
  const plan = planBetween(model, from, to, { allowLossy });
  return {
    ...base,
    status: 'migrated',
    text,
    from,
    path: [from, ...path.map((step) => step.to)].join(' -> '),
    isLossy: plan.status === 'ok' && plan.value.plan.loss === 'lossy',
    assumed: assumed.length,
    beside: isBeside || hasLoose ? JSON.stringify({ provenance, residue } satisfies BesideDocument) : null,
  };
}

/** What a way back makes of a document that was edited since: the original's version again, nothing lost, or why not. */
export function buildBack(
  { key, text }: StoredDocument,
  { from, beside }: Original,
  options: BuildOptions,
): BuiltDocument {
  const { model, now, named: run = options.run } = options;
  const base = { key, was: textDigest(text), ...NOTHING };
  const held = beside === null ? {} : (JSON.parse(beside) as BesideDocument);
  const to = from ?? model.rule.missing;
  const outcome = migrateText(model, Buffer.from(text, 'utf8'), to, { now, run, ...held });
  return builtFrom(base, text, outcome, { ...options, to, allowLossy: false });
}
