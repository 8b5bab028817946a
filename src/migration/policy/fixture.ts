/**
 * The fixtures of a policy: requests in `allow/` and `deny/`, one of each for every action and environment at least, and what
 * the policy says to them (M129). The name of a file begins with `<action>.<environment>.`, the rest is free.
 */
import { join } from 'node:path';
import { refusal, type Finding } from '../../base/index.ts';
import { hasCode, makeFolder, writeDurable } from '../durable.ts';
import { readIfThere } from '../evidence-store.ts';
import type { Refused } from '../refused.ts';
import { scanFolder } from '../scan-authored.ts';
import type { EnvironmentName, MigrationSettings } from '../settings.ts';
import { parseStrictJson } from '../strict-json.ts';
import { mkdir } from 'node:fs/promises';
import { BUILT_IN_POLICY } from './built-in.ts';
import { checkWords, decide, parsePolicySet, type ParsedPolicy } from './decide.ts';
import { namesIn, POLICY_FOLDER, readPolicySet } from './policy-set.ts';
import {
  POLICY_ACTIONS,
  POLICY_ENVIRONMENTS,
  POLICY_LIMITS,
  readPolicyRequest,
  type PolicyAction,
  type PolicyRequest,
} from './request.ts';

const DECISIONS = ['allow', 'deny'] as const;
type Decision = (typeof DECISIONS)[number];

/** What is wrong with the policy of a project and its fixtures; nothing where it has none of its own. */
export async function policyFindings(
  root: string,
  settings?: MigrationSettings,
): Promise<readonly Finding[]> {
  if ((await namesIn(join(root, POLICY_FOLDER))) === undefined) return [];
  const scanned = await scanFolder(join(root, POLICY_FOLDER), POLICY_FOLDER, settings);
  const reading = await readPolicySet(root);
  if (reading.status === 'refused') return [...scanned, ...reading.findings];
  const parsed = await parsePolicySet(reading.set);
  if (parsed.findings.length > 0) return [...scanned, ...parsed.findings];
  const findings = [...scanned, ...(await checkWords(parsed))];
  for (const decision of DECISIONS) findings.push(...(await decisionFindings(root, decision, parsed)));
  return findings;
}

async function decisionFindings(
  root: string,
  wanted: Decision,
  parsed: ParsedPolicy,
): Promise<readonly Finding[]> {
  const folder = `${POLICY_FOLDER}/${wanted}`;
  const names = (await namesIn(join(root, folder))) ?? [];
  const lacking = POLICY_ACTIONS.flatMap((action) =>
    POLICY_ENVIRONMENTS.filter(
      (environment) => !names.some((name) => name.startsWith(`${action}.${environment}.`)),
    ).map((environment) => fault(`${folder}/${action}.${environment}.json`, 'missing')),
  );
  const findings: Finding[] = [];
  for (const name of names) {
    const bytes = (await readIfThere(join(root, folder, name))) ?? new Uint8Array();
    const reason = await faultOf({ name, text: new TextDecoder().decode(bytes), wanted }, parsed);
    if (reason !== undefined) findings.push(fault(`${folder}/${name}`, reason));
  }
  return [...lacking, ...findings];
}

type Reason = 'missing' | 'no_request' | 'name_differs' | 'decided_otherwise' | 'error';

/** A request that cannot be evaluated is denied, and yet shows nothing of the policy. */
async function faultOf(
  { name, text, wanted }: { readonly name: string; readonly text: string; readonly wanted: Decision },
  parsed: ParsedPolicy,
): Promise<Reason | undefined> {
  const json = parseStrictJson(text);
  const request = 'reason' in json ? undefined : readPolicyRequest(json.value);
  if (request === undefined) return 'no_request';
  if (!name.startsWith(`${request.action}.${request.context.environment}.`)) return 'name_differs';
  const { decision, errors } = await decide(parsed, request);
  if (errors.length > 0) return 'error';
  return decision === wanted ? undefined : 'decided_otherwise';
}

const HINTS: Readonly<Record<Reason, string>> = {
  missing: 'Write it: each action has a request that is allowed and one that is denied, in each environment.',
  no_request: 'Write a request with each of its members and no others, as `varve new policy` does.',
  name_differs: 'Name the file <action>.<environment>.<what>.json after what it asks.',
  decided_otherwise:
    'Correct the policy, or move the fixture to the other folder if that is what it ought to say.',
  error: 'Correct the policy, or the request: it could not be evaluated.',
};

function fault(subject: string, reason: Reason): Finding {
  return refusal('policy_fixture_failed', subject, { detail: { reason }, hint: HINTS[reason] });
}

/**
 * Writes the built-in policy and its fixtures into a project, as something to begin with.
 *
 * Errors: refuses with `files_exist` where the project has a policy.
 */
export async function newPolicy(
  root: string,
): Promise<{ readonly status: 'written'; readonly files: readonly string[] } | Refused> {
  await makeFolder(join(root, 'registry'));
  try {
    await mkdir(join(root, POLICY_FOLDER));
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const hint = 'Edit the policies that are there.';
    return { status: 'refused', findings: [refusal('files_exist', `migrations/${POLICY_FOLDER}`, { hint })] };
  }
  const files = starterFiles();
  for (const [path, text] of Object.entries(files))
    await writeDurable(join(root, POLICY_FOLDER, path), new TextEncoder().encode(text));
  return { status: 'written', files: Object.keys(files).map((path) => `${POLICY_FOLDER}/${path}`) };
}

/** The policy comes last: a kill in between leaves a folder that allows nothing. */
function starterFiles(): Readonly<Record<string, string>> {
  const fixtures = POLICY_ACTIONS.flatMap((action) =>
    POLICY_ENVIRONMENTS.flatMap((environment): readonly (readonly [string, string])[] => [
      [`allow/${action}.${environment}.named.json`, fixture('user:ada', action, environment)],
      [`deny/${action}.${environment}.nameless.json`, fixture('user:unknown', action, environment)],
    ]),
  );
  return { ...Object.fromEntries(fixtures), 'main.cedar': BUILT_IN_POLICY };
}

function fixture(principal: string, action: PolicyAction, environment: EnvironmentName): string {
  const request: PolicyRequest = {
    principal: { id: principal, role: action === 'approve' ? 'approver' : 'runner', groups: [] },
    action,
    resource: {
      id: 'PG-MIG-2026-01-01-01',
      kind: 'postgis',
      change_class: 'routine',
      requires_rollback: true,
      owners: ['user:ada'],
      required_reviewers: ['group:approvers'],
      scope: ['app', 'site'],
      limits: Object.fromEntries(POLICY_LIMITS.map((name) => [name, 0])),
    },
    context: {
      environment,
      level: action === 'plan' ? 'none' : 'guarded',
      grants: action === 'plan' || action === 'rehearse' ? [] : [action],
      reviewers: action === 'plan' || action === 'rehearse' || action === 'approve' ? [] : ['user:eve'],
    },
  };
  return `${JSON.stringify(request, null, 2)}\n`;
}
