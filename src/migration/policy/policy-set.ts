/** The policy that holds in a project: `registry/policy/*.cedar`, or the built-in one where there is no such folder (M128). */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { digestOf, type Digest } from '../../evidence/index.ts';
import { hasCode } from '../durable.ts';
import { readIfThere } from '../evidence-store.ts';
import type { Refused } from '../refused.ts';
import { BUILT_IN_POLICY } from './built-in.ts';

/** Where a project's own policy lies, below the folder `migrations`. */
export const POLICY_FOLDER = 'registry/policy';

/** The texts of a policy, by file. */
export interface PolicySet {
  /** `built-in`, or the folder that it was read from. */
  readonly label: string;
  /** Of the document, which the evidence store keeps. */
  readonly digest: Digest;
  readonly document: JsonObject & {
    readonly files: readonly { readonly path: string; readonly text: string }[];
  };
}

/** Reads it. Errors: refuses with `policy_invalid` where the folder is there and holds no policy. */
export async function readPolicySet(
  root: string,
): Promise<{ readonly status: 'ok'; readonly set: PolicySet } | Refused> {
  const names = await namesIn(join(root, POLICY_FOLDER));
  if (names === undefined) return ok('built-in', [{ path: 'built-in.cedar', text: BUILT_IN_POLICY }]);
  const paths = names.filter((name) => name.endsWith('.cedar'));
  if (paths.length === 0)
    return { status: 'refused', findings: [invalidPolicy(POLICY_FOLDER, { reason: 'no_policy' })] };
  const files = [];
  for (const path of paths) {
    const bytes = (await readIfThere(join(root, POLICY_FOLDER, path))) ?? new Uint8Array();
    files.push({ path, text: new TextDecoder().decode(bytes) });
  }
  return ok(POLICY_FOLDER, files);
}

function ok(
  label: string,
  files: readonly { readonly path: string; readonly text: string }[],
): { readonly status: 'ok'; readonly set: PolicySet } {
  const document = { files };
  return { status: 'ok', set: { label, document, digest: digestOf(document) } };
}

/** The names in a folder, in order; undefined where there is none. */
export async function namesIn(folder: string): Promise<readonly string[] | undefined> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

const HINTS: Readonly<Record<string, string>> = {
  no_policy:
    'Bring its policies back from version control, or run `varve new policy`: an empty folder allows nothing.',
  parse: 'Correct the policy: Cedar does not take it.',
  template: 'Write a policy without slots: nothing here fills them.',
  id_used_twice: 'Give each policy an id of its own: @id("name").',
  schema: 'Correct the word that is not known; docs/guides/policy.md lists the words of a request.',
};

/** The refusal of a policy that cannot be used. */
export function invalidPolicy(subject: string, detail: JsonObject & { readonly reason: string }): Finding {
  return refusal('policy_invalid', subject, { detail, hint: HINTS[detail.reason] ?? 'Correct the policy.' });
}
