/**
 * One migration in one view (M60), from files alone: the change, its inputs, its products, its justification, and what still
 * lacks before it is done.
 *
 * | part | from |
 * |---|---|
 * | change | the declaration |
 * | inputs | the authored files, with the digest that is signed |
 * | justification | the notes' Why, the reference, and each approval whose signature holds |
 * | proof | the rehearsal that the bundle shows |
 * | runs, products | the ledger files and the receipts that they name |
 * | lacks | gates that do not pass, a rehearsal to equality, a verified receipt |
 */
import { join } from 'node:path';
import { isRefused, type JsonObject } from '../base/index.ts';
import {
  APPROVAL_TYPE,
  isDigest,
  openEnvelope,
  publicKeys,
  readChain,
  REHEARSAL_PATH,
  type Approval,
  type Artifact,
  type Receipt,
  type RehearsalReceipt,
} from '../evidence/index.ts';
import { readBundle, type Bundle } from './bundle.ts';
import { checkSignature } from './ed25519.ts';
import { readEvidence, readIfThere } from './evidence-store.ts';
import { approvalNames } from './find-approvals.ts';
import { runGates, type GateOptions } from './gate/gate.ts';
import { readKeyRegister } from './key-register.ts';
import { notesPart } from './notes.ts';
import { verifyReceipts } from './receipts.ts';
import type { Refused } from './refused.ts';
import { parseStrictJson } from './strict-json.ts';

/** Somebody's signature over this bundle, or over what it was before. */
export interface Signature extends JsonObject {
  readonly principal: string;
  readonly environment: string;
  readonly grants: readonly string[];
  readonly exceptions: readonly string[];
  readonly issuedAt: string;
  /** False where the files were others when it was given. */
  readonly isOfTheseFiles: boolean;
}

/** One closed run. */
export interface RunLine extends JsonObject {
  readonly environment: string;
  readonly direction: string;
  readonly outcome: string;
  readonly validation: string;
  readonly level: string;
  readonly finishedAt: string;
  readonly runId: string;
  readonly receipt: string;
  readonly products: readonly Artifact[];
}

/** All of it. */
export interface Dossier {
  readonly migrationId: string;
  readonly change: {
    readonly intent: string;
    readonly kind: string;
    readonly change_class: string;
    readonly requires_rollback: boolean;
    readonly scope: JsonObject;
    readonly limits: JsonObject;
  };
  readonly bundleDigest: string;
  readonly inputs: readonly Artifact[];
  readonly justification: {
    readonly why: string;
    readonly reference: string | null;
    readonly signatures: readonly Signature[];
  };
  /** Null where it was not rehearsed; `ofTheseFiles` is false where the files were others then. */
  readonly rehearsal: { readonly rung: string | null; readonly isOfTheseFiles: boolean } | null;
  /** Oldest first. */
  readonly runs: readonly RunLine[];
  /** What keeps it from being done, in words; none where it is. */
  readonly lacks: readonly string[];
}

/** Reads it. Errors: refuses as reading the bundle does. */
export async function readDossier(
  options: GateOptions,
  id: string,
): Promise<{ readonly status: 'ok'; readonly dossier: Dossier } | Refused> {
  const reading = await readBundle(options.root, id);
  if (reading.status === 'refused') return reading;
  const { bundle } = reading;
  const { intent, scope, limits, requires_rollback, approvals } = bundle.declaration;
  const rehearsal = await rehearsalOf(bundle);
  const runs = await runsOf(options.root, id);
  const dossier: Dossier = {
    migrationId: id,
    change: {
      intent,
      kind: bundle.kind,
      change_class: approvals.change_class,
      requires_rollback,
      scope,
      limits,
    },
    bundleDigest: bundle.digest,
    inputs: bundle.files.map(({ path, digest }) => ({ path, digest })),
    justification: {
      why: notesPart(bundle, 'Why'),
      reference: approvals.reference ?? null,
      signatures: await signaturesOf(options.root, bundle),
    },
    rehearsal,
    runs,
    lacks: await lacking(options, bundle, { rehearsal, runs }),
  };
  return { status: 'ok', dossier };
}

async function signaturesOf(root: string, bundle: Bundle): Promise<readonly Signature[]> {
  const keys = await readKeyRegister(root);
  if (keys.status === 'refused') return [];
  const found: Signature[] = [];
  for (const path of await approvalNames(bundle)) {
    const bytes = (await readIfThere(join(bundle.folder, path))) ?? new Uint8Array();
    const parsed = parseStrictJson(new TextDecoder().decode(bytes));
    if ('reason' in parsed) continue;
    const opened = await openEnvelope(parsed.value, APPROVAL_TYPE, {
      publicKeyById: publicKeys(keys.register),
      check: checkSignature,
    });
    if (opened.status === 'refused') continue;
    const approval = opened.body as unknown as Approval;
    found.push({
      principal: approval.principal,
      environment: approval.environment,
      grants: [...approval.grants],
      exceptions: approval.exceptions.map(({ code, subject }) => `${code}:${subject}`),
      issuedAt: approval.issued_at,
      isOfTheseFiles: approval.bundle_digest === bundle.digest,
    });
  }
  return found;
}

async function rehearsalOf(bundle: Bundle): Promise<Dossier['rehearsal']> {
  const bytes = await readIfThere(join(bundle.folder, REHEARSAL_PATH));
  const parsed = bytes === undefined ? undefined : parseStrictJson(new TextDecoder().decode(bytes));
  if (parsed === undefined || 'reason' in parsed) return null;
  const receipt = parsed.value as unknown as RehearsalReceipt;
  return { rung: receipt.rollback.rung, isOfTheseFiles: receipt.bundle_digest === bundle.digest };
}

async function runsOf(root: string, id: string): Promise<readonly RunLine[]> {
  const runs: RunLine[] = [];
  for (const environment of ['dev', 'stage', 'prod']) {
    const bytes = await readIfThere(join(root, `evidence/ledger/${environment}.jsonl`));
    const { lines } = readChain(new TextDecoder().decode(bytes ?? new Uint8Array()));
    for (const line of lines) {
      const digest = line['receipt_digest'];
      if (line['migration_id'] !== id || !isDigest(digest)) continue;
      const stored = await readEvidence(root, digest);
      if (stored === undefined) continue;
      const receipt = JSON.parse(new TextDecoder().decode(stored)) as Receipt;
      runs.push({
        environment,
        direction: receipt.direction,
        outcome: receipt.outcome,
        validation: receipt.validation.status,
        level: receipt.enforcement.level,
        finishedAt: receipt.finished_at,
        runId: receipt.run_id,
        receipt: digest,
        products: receipt.outputs.map(({ path, digest: of }) => ({ path, digest: of })),
      });
    }
  }
  return runs.toSorted((left, right) => (left.finishedAt < right.finishedAt ? -1 : 1));
}

/** M60, point by point: artifacts and policy fixtures by the gates, receipts by verifying them, the way back by its rehearsal. */
async function lacking(
  options: GateOptions,
  bundle: Bundle,
  { rehearsal, runs }: Pick<Dossier, 'rehearsal' | 'runs'>,
): Promise<readonly string[]> {
  const report = await runGates(options, [bundle.id]);
  const blocking = report.bundles
    .flatMap(({ gates }) => gates)
    .filter(({ status }) => status === 'fail' || status === 'not_run');
  const verification = await verifyReceipts(join(bundle.folder));
  const isProved = rehearsal !== null && rehearsal.rung !== null && rehearsal.isOfTheseFiles;
  return [
    ...blocking.map(({ gate }) => `gate ${gate}`),
    ...(isRefused(report.findings) ? ['gates between bundles'] : []),
    ...(bundle.declaration.requires_rollback && !isProved ? ['a rehearsal to equality'] : []),
    ...(runs.some(({ outcome, validation }) => outcome === 'committed' && validation === 'pass')
      ? []
      : ['a run that passed']),
    ...(isRefused(verification.findings) ? ['receipts that verify'] : []),
  ];
}
