/**
 * Cedar's decision over a request (M128). No match is deny, and so is every error: where a policy cannot be evaluated, also a
 * permit that does match does not count, since the one in error may have been a forbid.
 */
import type { CedarValueJson, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Finding } from '../../base/index.ts';
import { invalidPolicy, type PolicySet } from './policy-set.ts';
import { POLICY_ACTIONS, POLICY_LIMITS, type PolicyRequest } from './request.ts';

type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs');

/** What Cedar says. */
export interface PolicyDecision {
  readonly decision: 'allow' | 'deny';
  /** The policies that decided, as `file#id`; none where nothing matched. */
  readonly policies: readonly string[];
  /** Those that could not be evaluated, or `request` where the request is none. */
  readonly errors: readonly string[];
}

/** A policy set that Cedar took. */
export interface ParsedPolicy {
  readonly textById: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

/** What a request may say, for Cedar: so that a word that is written wrong is told. */
export const POLICY_SCHEMA: string = `
entity Group;
entity Principal in [Group] { role: String };
entity Migration {
  kind: String,
  change_class: String,
  requires_rollback: Bool,
  owners: Set<Principal>,
  required_reviewers: Set<String>,
  scope: Set<String>,
  limits: { ${POLICY_LIMITS.map((name) => `${name}: Long`).join(', ')} },
};
action ${POLICY_ACTIONS.map((name) => `"${name}"`).join(', ')} appliesTo {
  principal: Principal,
  resource: Migration,
  context: { environment: String, level: String, grants: Set<String>, reviewers: Set<Principal> },
};`;

/** Takes a policy set apart into policies, each by its file and its id; told is what Cedar does not take. */
export async function parsePolicySet({ document }: PolicySet): Promise<ParsedPolicy> {
  const cedar = await loadCedar();
  const textById: Record<string, string> = {};
  const findings: Finding[] = [];
  for (const { path, text } of document.files) {
    const parts = cedar.policySetTextToParts(text);
    if (parts.type === 'failure') {
      const { line, column } = placeIn(text, parts.errors[0]?.sourceLocations?.[0]?.start ?? 0);
      findings.push(invalidPolicy(`registry/policy/${path}`, { reason: 'parse', line, column }));
      continue;
    }
    if (parts.policy_templates.length > 0)
      findings.push(invalidPolicy(`registry/policy/${path}`, { reason: 'template' }));
    for (const [at, policy] of parts.policies.entries()) {
      const id = `${path}#${idOf(cedar, policy) ?? String(at + 1)}`;
      if (id in textById)
        findings.push(invalidPolicy(`registry/policy/${path}`, { reason: 'id_used_twice', id }));
      textById[id] = policy;
    }
  }
  return { textById, findings };
}

/** Holds policies to the words that a request has; for a gate, since a decision meets a wrong word as an error. */
export async function checkWords({ textById }: ParsedPolicy): Promise<readonly Finding[]> {
  const cedar = await loadCedar();
  const answer = cedar.validate({ schema: POLICY_SCHEMA, policies: { staticPolicies: { ...textById } } });
  if (answer.type === 'failure') return [invalidPolicy('registry/policy', { reason: 'parse' })];
  const policies = new Set(answer.validationErrors.map(({ policyId }) => policyId));
  return [...policies].map((policy) => invalidPolicy(`registry/policy/${policy}`, { reason: 'schema' }));
}

/** Decides. */
export async function decide({ textById }: ParsedPolicy, request: PolicyRequest): Promise<PolicyDecision> {
  const cedar = await loadCedar();
  const { principal, action, resource, context } = request;
  const answer = cedar.isAuthorized({
    principal: uid('Principal', principal.id),
    action: uid('Action', action),
    resource: uid('Migration', resource.id),
    context: { ...context, grants: [...context.grants], reviewers: principals(context.reviewers) },
    schema: POLICY_SCHEMA,
    validateRequest: true,
    policies: { staticPolicies: { ...textById } },
    entities: entitiesOf(request),
  });
  if (answer.type === 'failure') return { decision: 'deny', policies: [], errors: ['request'] };
  const { decision, diagnostics } = answer.response;
  const errors = diagnostics.errors.map(({ policyId }) => policyId).toSorted();
  return {
    decision: errors.length > 0 ? 'deny' : decision,
    policies: diagnostics.reason.toSorted(),
    errors,
  };
}

function entitiesOf({ principal, resource }: PolicyRequest): EntityJson[] {
  const { id, owners, required_reviewers: reviewers, scope, limits, ...own } = resource;
  return [
    {
      uid: uid('Principal', principal.id),
      attrs: { role: principal.role },
      parents: principal.groups.map((group) => uid('Group', group)),
    },
    {
      uid: uid('Migration', id),
      attrs: {
        ...own,
        owners: principals(owners),
        required_reviewers: [...reviewers],
        scope: [...scope],
        limits: { ...limits },
      },
      parents: [],
    },
  ];
}

function principals(ids: readonly string[]): CedarValueJson[] {
  return ids.map((id) => ({ __entity: uid('Principal', id) }));
}

function uid(type: string, id: string): TypeAndId {
  return { type, id };
}

function idOf(cedar: Cedar, policy: string): string | undefined {
  const answer = cedar.policyToJson(policy);
  return answer.type === 'success' ? answer.json.annotations?.['id'] : undefined;
}

/** Cedar counts bytes. */
function placeIn(text: string, byte: number): { readonly line: number; readonly column: number } {
  const before = new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, byte)).split('\n');
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** 4 MB of WebAssembly: loaded when somebody asks. */
async function loadCedar(): Promise<Cedar> {
  return await import('@cedar-policy/cedar-wasm/nodejs');
}
