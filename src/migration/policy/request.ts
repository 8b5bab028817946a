/**
 * A request: who wants to do what with which migration, and what is known of it. Its canonical JSON is kept in the evidence
 * store, its digest in the receipt; a fixture has the same form.
 */
import type { JsonObject } from '../../base/index.ts';
import { CHANGE_CLASSES, KIND_WORDS } from '../../evidence/index.ts';
import type { Bundle } from '../bundle.ts';
import type { EnvironmentName, MigrationSettings } from '../settings.ts';

/** What a policy decides. */
export const POLICY_ACTIONS = ['plan', 'rehearse', 'approve', 'apply', 'rollback', 'retire'] as const;

/** One of the verbs that a policy decides. */
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Where it is decided. */
export const POLICY_ENVIRONMENTS: readonly EnvironmentName[] = ['dev', 'stage', 'prod'];

/** One request, in the words of a declaration. */
export interface PolicyRequest extends JsonObject {
  readonly principal: {
    readonly id: string;
    readonly role: string;
    /** Of the configuration, without `group:`. */
    readonly groups: readonly string[];
  };
  readonly action: PolicyAction;
  readonly resource: {
    readonly id: string;
    readonly kind: string;
    readonly change_class: string;
    readonly requires_rollback: boolean;
    readonly owners: readonly string[];
    readonly required_reviewers: readonly string[];
    /** Every name of every allowed list. */
    readonly scope: readonly string[];
    /** By their names; what is not written is 0. */
    readonly limits: Readonly<Record<string, number>>;
  };
  readonly context: {
    readonly environment: EnvironmentName;
    /** That the plan says a run would reach; `none` before there is a plan. */
    readonly level: string;
    /** Of `approve` those that are about to be signed, else those that were. */
    readonly grants: readonly string[];
    /** Who signed approvals that count. */
    readonly reviewers: readonly string[];
  };
}

/** What is known when somebody asks. */
export interface PolicyQuestion {
  readonly action: PolicyAction;
  readonly bundle: Pick<Bundle, 'id' | 'kind' | 'declaration'>;
  readonly principal: { readonly principal: string; readonly role: string };
  readonly environment: EnvironmentName;
  readonly settings: MigrationSettings;
  readonly owners: readonly string[];
  readonly level?: string;
  readonly grants?: readonly string[];
  readonly reviewers?: readonly string[];
}

/** The request that a question comes to: equal questions give equal bytes. */
export function policyRequest(question: PolicyQuestion): PolicyRequest {
  const { bundle, principal, settings, environment, action } = question;
  const { declaration } = bundle;
  const { approvals, requires_rollback: hasWayBack } = declaration;
  const groups = Object.entries(settings.groups ?? {});
  const member = groups.filter(([, members]) => members.includes(principal.principal));
  return {
    principal: {
      id: principal.principal,
      role: principal.role,
      groups: sorted(member.map(([name]) => name)),
    },
    action,
    resource: {
      id: bundle.id,
      kind: bundle.kind,
      change_class: approvals.change_class,
      requires_rollback: hasWayBack,
      owners: sorted(question.owners),
      required_reviewers: sorted(approvals.required_reviewers),
      scope: sorted(
        Object.entries(declaration.scope).flatMap(([key, names]) =>
          key.startsWith('allowed_') ? names : [],
        ),
      ),
      limits: declaredLimits(declaration.limits),
    },
    context: {
      environment,
      level: question.level ?? 'none',
      grants: sorted(question.grants ?? []),
      reviewers: sorted(question.reviewers ?? []),
    },
  };
}

/** The names of limits of all kinds, so that a policy may ask for one without asking first whether it is there. */
export const POLICY_LIMITS: readonly string[] = sorted(
  Object.values(KIND_WORDS).flatMap(({ limits }) => limits),
);

/** Every limit by name, those that are not written as 0 (M22); caps of one label are left out. */
function declaredLimits(limits: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(POLICY_LIMITS.map((name) => [name, limits[name] ?? 0]));
}

/** The request in a fixture; undefined where it has not this form. What its words mean, Cedar holds to the schema. */
export function readPolicyRequest(value: unknown): PolicyRequest | undefined {
  return isShaped(value, REQUEST) ? (value as PolicyRequest) : undefined;
}

type Shape = 'text' | 'truth' | 'texts' | 'limits' | readonly string[] | { readonly [name: string]: Shape };

const REQUEST: Shape = {
  principal: { id: 'text', role: 'text', groups: 'texts' },
  action: POLICY_ACTIONS,
  resource: {
    id: 'text',
    kind: Object.keys(KIND_WORDS),
    change_class: CHANGE_CLASSES,
    requires_rollback: 'truth',
    owners: 'texts',
    required_reviewers: 'texts',
    scope: 'texts',
    limits: 'limits',
  },
  context: { environment: POLICY_ENVIRONMENTS, level: 'text', grants: 'texts', reviewers: 'texts' },
};

function isShaped(value: unknown, shape: Shape): boolean {
  if (shape === 'text') return typeof value === 'string';
  if (shape === 'truth') return typeof value === 'boolean';
  if (shape === 'texts') return Array.isArray(value) && value.every((each) => typeof each === 'string');
  if (shape === 'limits') {
    return (
      hasMembers(value, POLICY_LIMITS) && Object.values(value).every((each) => Number.isSafeInteger(each))
    );
  }
  if (isChoice(shape)) return typeof value === 'string' && shape.includes(value);
  return (
    hasMembers(value, Object.keys(shape)) &&
    Object.entries(shape).every(([name, member]) => isShaped(value[name], member))
  );
}

function isChoice(shape: Shape): shape is readonly string[] {
  return Array.isArray(shape);
}

/** These members and no others. */
function hasMembers(value: unknown, names: readonly string[]): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const found = Object.keys(value);
  return found.length === names.length && found.every((name) => names.includes(name));
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].toSorted();
}
