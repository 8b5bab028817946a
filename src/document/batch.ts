/**
 * One document of a batch: what is written for it, what is kept beside it, or why it stands in quarantine.
 */
import type { Finding, JsonObject } from '../base/index.ts';
import { planBetween, type Model } from './model.ts';
import type { Provenance } from './provenance.ts';
import type { Residue } from './residue-row.ts';
import type { StepRef } from './step.ts';
import { migrateText } from './text.ts';
import type { Version } from './version.ts';

/** What became of one document. */
export type BatchItem =
  | { readonly status: 'current' | 'passed'; readonly bytes: Uint8Array }
  | {
      readonly status: 'migrated';
      readonly bytes: Uint8Array;
      readonly path: string;
      /** Whether a step of its way loses something. */
      readonly isLossy: boolean;
      /** How many facts were guessed. */
      readonly assumed: number;
      readonly beside: Beside | undefined;
    }
  | { readonly status: 'quarantined'; readonly findings: readonly Finding[] };

/** What has no place in a document that was written. */
export interface Beside {
  readonly provenance: Provenance;
  readonly residue: Residue;
}

/** What a batch says of all its documents. */
export interface BatchOptions {
  /** The one time of the run, ISO 8601. */
  readonly now: string;
  readonly run?: string;
  readonly allowLossy?: boolean;
  readonly keepOrder?: boolean;
}

/** How many documents became what. */
export type BatchCounts = {
  readonly documents: number;
  readonly migrated: number;
  readonly current: number;
  readonly passed: number;
  readonly quarantined: number;
  readonly lossy: number;
  readonly assumed: number;
  readonly byPath: Readonly<Record<string, number>>;
};

/** Nothing counted yet. */
export const NO_COUNTS: BatchCounts = {
  documents: 0,
  migrated: 0,
  current: 0,
  passed: 0,
  quarantined: 0,
  lossy: 0,
  assumed: 0,
  byPath: {},
};

/** Moves the bytes of one document; what cannot be moved is quarantined with its findings. */
export function migrateItem(
  model: Model,
  bytes: Uint8Array,
  target: Version,
  options: BatchOptions,
): BatchItem {
  const outcome = migrateText(model, bytes, target, options);
  switch (outcome.status) {
    case 'refused':
      return { status: 'quarantined', findings: outcome.findings };
    case 'needs_migration':
      return { status: 'passed', bytes };
    case 'current':
    case 'passed':
      return { status: outcome.status, bytes: outcome.document };
    case 'migrated': {
      const { document, provenance, residue, findings, from, path, assumed } = outcome;
      const isBeside =
        model.policy.provenance === 'beside' || findings.some(({ code }) => code === 'kept_beside');
      const isKept = isBeside || residue.some((row) => row.kept === undefined && row.value !== undefined);
      const plan = planBetween(model, from, target, options);
      return {
        status: 'migrated',
        bytes: document,
        isLossy: plan.status === 'ok' && plan.value.plan.loss === 'lossy',
        assumed: assumed.length,
        path: pathText(from, path),
        beside: isKept ? { provenance, residue } : undefined,
      };
    }
  }
}

const textByPath = new WeakMap<readonly StepRef[], string>();

/** A plan's path is one list for all of its documents. */
function pathText(from: Version, path: readonly StepRef[]): string {
  let text = textByPath.get(path);
  if (text === undefined) textByPath.set(path, (text = [from, ...path.map(({ to }) => to)].join(' -> ')));
  return text;
}

/** The counts with one document more. */
export function countItem(counts: BatchCounts, item: BatchItem): BatchCounts {
  const counted = {
    ...counts,
    documents: counts.documents + 1,
    [item.status]: counts[item.status] + 1,
  };
  if (item.status !== 'migrated') return counted;
  return {
    ...counted,
    lossy: counts.lossy + (item.isLossy ? 1 : 0),
    assumed: counts.assumed + item.assumed,
    byPath: { ...counts.byPath, [item.path]: (counts.byPath[item.path] ?? 0) + 1 },
  };
}

/** A line of the quarantine: where the document stood, why it is here, and its bytes. */
export function quarantineLine(
  place: string | number,
  findings: readonly Finding[],
  bytes: Uint8Array | undefined,
): JsonObject {
  return {
    place,
    findings: findings.map((finding) => ({ ...finding })),
    ...(bytes === undefined ? {} : { bytes: base64(bytes) }),
  };
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}
