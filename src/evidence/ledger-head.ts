/**
 * The head of a ledger file: how long it is, and the root of the Merkle tree over its lines. It is signed with every
 * append and lies beside the file as `<env>.head.json`. A copy that is kept elsewhere, such as in a tag of version control, shows later
 * whether the ledger still begins with what it was then: a chain alone does not show that its tail is lost (M120).
 *
 * | file holds | when |
 * |---|---|
 * | a DSSE envelope over the head | a runner key signed it |
 * | the head itself | in dev, without a key |
 */
import type { Json, JsonObject } from '../base/index.ts';
import { isKeyValid, publicKeys, type KeyRegister } from './approval.ts';
import type { ChainLine } from './chain.ts';
import { canonicalBytes, digestOf, type Digest } from './digest.ts';
import { openEnvelope, type CheckSignature } from './dsse.ts';
import { merkleRoot } from './merkle.ts';
import { validateSchema } from './validate.ts';

/** The type of a head's envelope. */
export const HEAD_TYPE = 'application/vnd.varve.ledger_head.v1+json';

/** Where a ledger stands. */
export interface LedgerHead extends JsonObject {
  readonly head_version: 'v1';
  readonly environment: string;
  /** Lines of the file. */
  readonly tree_size: number;
  readonly root: Digest;
  /** `seq` and `digest` of the last line. */
  readonly seq: number;
  readonly digest: Digest;
  /** When the last line was appended. */
  readonly at: string;
}

/** A head that was read; `keyId` where it was signed. */
export type HeadReading =
  | { readonly status: 'ok'; readonly head: LedgerHead; readonly keyId: Digest | undefined }
  | { readonly status: 'refused'; readonly reason: string };

/** The head of lines; undefined of none. */
export function ledgerHead(environment: string, lines: readonly ChainLine[]): LedgerHead | undefined {
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  return {
    head_version: 'v1',
    environment,
    tree_size: lines.length,
    root: merkleRoot(lines.map((line) => canonicalBytes(line))),
    seq: last.seq,
    digest: last.digest,
    at: typeof last['at'] === 'string' ? last['at'] : '',
  };
}

/** Reads the content of a head's file. A signature counts where a registered runner key of the environment made it, when it was valid. */
export async function readHead(
  value: Json,
  given: { readonly register: KeyRegister; readonly check: CheckSignature },
): Promise<HeadReading> {
  if (!isSigned(value)) return checkedHead(value, undefined);
  const opened = await openEnvelope(value, HEAD_TYPE, {
    publicKeyById: publicKeys(given.register),
    check: given.check,
  });
  if (opened.status === 'refused') return opened;
  const reading = await checkedHead(opened.body, opened.keyId);
  if (reading.status === 'refused') return reading;
  const key = given.register.keys.find(({ key_id: id }) => id === opened.keyId);
  if (key?.role !== 'runner') return { status: 'refused', reason: 'role' };
  if (!key.environments.includes(reading.head.environment))
    return { status: 'refused', reason: 'key_environment' };
  return isKeyValid(key, Date.parse(reading.head.at))
    ? reading
    : { status: 'refused', reason: 'key_validity' };
}

/** How lines stand to a head of the same ledger. */
export function holdAgainstHead(
  lines: readonly ChainLine[],
  head: LedgerHead,
):
  | { readonly status: 'same' | 'grown' }
  /** `seq` of the first entry that is not there any more. */
  | { readonly status: 'tail_lost'; readonly seq: number }
  | { readonly status: 'rewritten' } {
  const first = head.seq - head.tree_size + 1;
  if (lines.length < head.tree_size) return { status: 'tail_lost', seq: first + lines.length };
  const then = ledgerHead(head.environment, lines.slice(0, head.tree_size));
  if (then === undefined || digestOf(then) !== digestOf(head)) return { status: 'rewritten' };
  return { status: lines.length === head.tree_size ? 'same' : 'grown' };
}

function isSigned(value: Json): boolean {
  return typeof value === 'object' && value !== null && 'payloadType' in value;
}

async function checkedHead(value: Json, keyId: Digest | undefined): Promise<HeadReading> {
  const [fault] = await validateSchema('ledger_head.v1', value);
  if (fault !== undefined) return { status: 'refused', reason: `schema ${fault.pointer}` };
  return { status: 'ok', head: value as LedgerHead, keyId };
}
