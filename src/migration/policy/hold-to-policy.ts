import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import { canonicalBytes, digestOf, type DecidedPolicy } from '../../evidence/index.ts';
import type { RunnerOptions } from '../environment.ts';
import { storeEvidence } from '../evidence-store.ts';
import type { Refused } from '../refused.ts';
import { readRegistry } from '../registry.ts';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { decide, parsePolicySet, type PolicyDecision } from './decide.ts';
import { readPolicySet, type PolicySet } from './policy-set.ts';
import { policyRequest, type PolicyQuestion, type PolicyRequest } from './request.ts';

/**
 * What is asked. Plans and approvals have no receipt of their own: of these nothing is kept.
 * Who and where come with the options.
 */
export type Question = Pick<PolicyQuestion, 'action' | 'bundle' | 'level' | 'grants' | 'reviewers'> & {
  /** Default: the actor. */
  readonly principal?: PolicyQuestion['principal'];
};

/**
 * Asks the policy of the project (M128). On a copy nobody is asked: the rehearsal was.
 *
 * Errors: refuses with `policy_denied`, `policy_invalid`, and `registry_invalid` where the registry cannot be read.
 */
export async function holdToPolicy(
  options: Pick<RunnerOptions, 'root' | 'environment' | 'settings' | 'actor' | 'isRehearsal'>,
  question: Question,
): Promise<{ readonly status: 'allowed'; readonly policy: KeptPolicy | undefined } | Refused> {
  if (options.isRehearsal === true) return { status: 'allowed', policy: undefined };
  const { root, environment, settings = DEFAULT_SETTINGS, actor } = options;
  const reading = await readPolicySet(root);
  if (reading.status === 'refused') return reading;
  const registry = await readRegistry(root);
  if (registry.status === 'refused') return registry;
  const entry = registry.registry.migrations.find(({ id }) => id === question.bundle.id);
  const request = policyRequest({
    principal: actor,
    ...question,
    environment,
    settings,
    owners: entry?.owners ?? [],
  });
  const parsed = await parsePolicySet(reading.set);
  if (parsed.findings.length > 0) return { status: 'refused', findings: parsed.findings };
  const decision = await decide(parsed, request);
  if (decision.decision === 'deny')
    return { status: 'refused', findings: [denied(reading.set, request, decision)] };
  const isRecorded = !['plan', 'approve'].includes(question.action);
  return {
    status: 'allowed',
    policy: isRecorded ? await keep(root, reading.set, request, decision) : undefined,
  };
}

/** What a run takes along of the decision that allowed it. */
export interface KeptPolicy {
  readonly decided: DecidedPolicy;
  /** The policy and the request, which the receipt names by digest: the ledger has them where this disk is lost. */
  readonly documents: readonly JsonObject[];
}

/** Policy and request are kept before the run, so that its receipt can be held against them. */
async function keep(
  root: string,
  set: PolicySet,
  request: PolicyRequest,
  { decision, policies }: PolicyDecision,
): Promise<KeptPolicy> {
  const policyDigest = await storeEvidence(root, canonicalBytes(set.document));
  const requestDigest = await storeEvidence(root, canonicalBytes(request));
  return {
    decided: {
      decision_id: digestOf({ policy: policyDigest, request: requestDigest, decision, policies }),
      policy_label: set.label,
      policy_digest: policyDigest,
      request_digest: requestDigest,
    },
    documents: [set.document, request],
  };
}

function denied(set: PolicySet, request: PolicyRequest, { policies, errors }: PolicyDecision): Finding {
  const { action, principal, resource, context } = request;
  const about = { action, environment: context.environment, principal: principal.id, policy: set.label };
  if (errors.length > 0) {
    const hint =
      'Correct these policies: what cannot be evaluated denies. `varve gate` says what is wrong in them.';
    return refusal('policy_denied', resource.id, {
      detail: { ...about, reason: 'error', policies: errors },
      hint,
    });
  }
  if (policies.length > 0) {
    const isNameless = policies.includes('built-in.cedar#nameless');
    const hint = isNameless
      ? 'Say who you are: set VARVE_ACTOR, for this machine knows no name for you.'
      : 'Have somebody do it whom the policy allows to; what forbids it stands there.';
    return refusal('policy_denied', resource.id, {
      detail: { ...about, reason: 'forbidden', policies },
      hint,
    });
  }
  const hint =
    'Have somebody do it whom a policy permits to, or permit it in migrations/registry/policy and add its fixtures.';
  return refusal('policy_denied', resource.id, { detail: { ...about, reason: 'not_permitted' }, hint });
}
