import { describe, expect, it } from 'vitest';
import { digestOf } from '../../evidence/index.ts';
import { BUILT_IN_POLICY } from './built-in.ts';
import { checkWords, decide, parsePolicySet, type PolicyDecision } from './decide.ts';
import type { PolicySet } from './policy-set.ts';
import {
  POLICY_ACTIONS,
  POLICY_ENVIRONMENTS,
  POLICY_LIMITS,
  readPolicyRequest,
  type PolicyRequest,
} from './request.ts';

const setOf = (...texts: readonly string[]): PolicySet => {
  const document = { files: texts.map((text, at) => ({ path: `${String(at)}.cedar`, text })) };
  return { label: 'test', document, digest: digestOf(document) };
};

interface Told {
  readonly principal?: Partial<PolicyRequest['principal']>;
  readonly action?: PolicyRequest['action'];
  readonly resource?: Partial<PolicyRequest['resource']>;
  readonly context?: Partial<PolicyRequest['context']>;
}

const request = ({ principal, action = 'apply', resource, context }: Told = {}): PolicyRequest => ({
  principal: { id: 'user:ada', role: 'runner', groups: [], ...principal },
  action,
  resource: {
    id: 'PG-MIG-2026-05-12-01',
    kind: 'postgis',
    change_class: 'routine',
    requires_rollback: true,
    owners: ['user:ada'],
    required_reviewers: ['group:approvers'],
    scope: ['app', 'site'],
    limits: Object.fromEntries(POLICY_LIMITS.map((name) => [name, 0])),
    ...resource,
  },
  context: { environment: 'prod', level: 'guarded', grants: ['apply'], reviewers: ['user:eve'], ...context },
});

const decided = async (text: string, told: Told = {}): Promise<PolicyDecision> => {
  const parsed = await parsePolicySet(setOf(text));
  expect(parsed.findings).toEqual([]);
  return decide(parsed, request(told));
};

const ALL = '@id("all") permit (principal, action, resource);';

describe('a policy decides', () => {
  it('M128 denies what nothing matches, and lets a forbid win', async () => {
    const none = '@id("eve") permit (principal == Principal::"user:eve", action, resource);';
    expect(await decided(none)).toEqual({ decision: 'deny', policies: [], errors: [] });
    expect(await decided(ALL)).toEqual({ decision: 'allow', policies: ['0.cedar#all'], errors: [] });
    const forbid = `${ALL} forbid (principal, action == Action::"apply", resource);`;
    expect(await decided(forbid)).toEqual({ decision: 'deny', policies: ['0.cedar#2'], errors: [] });
    expect(await decided(forbid, { action: 'plan' })).toMatchObject({ decision: 'allow' });
  });

  it('M128 denies where a policy cannot be evaluated, though another one permits', async () => {
    const odd = `${ALL} @id("odd") forbid (principal, action, resource) when { context.enviroment == "prod" };`;
    expect(await decided(odd)).toMatchObject({ decision: 'deny', errors: ['0.cedar#odd'] });
    const overflow = `${ALL} @id("big") permit (principal, action, resource) when { resource.limits.max_row_backfill + 9223372036854775807 > 0 };`;
    const limits = { ...request().resource.limits, max_row_backfill: 1 };
    expect(await decided(overflow, { resource: { limits } })).toMatchObject({
      decision: 'deny',
      errors: ['0.cedar#big'],
    });
  });

  it('M128 denies a request that is none', async () => {
    const parsed = await parsePolicySet(setOf(ALL));
    const wrong: PolicyRequest = JSON.parse(JSON.stringify({ ...request(), action: 'drop' }));
    expect(await decide(parsed, wrong)).toMatchObject({ decision: 'deny', errors: ['request'] });
  });

  it.each<readonly [string, string, Told]>([
    ['a group', 'principal in Group::"data"', { principal: { groups: ['data'] } }],
    ['an owner', 'resource.owners.contains(principal)', {}],
    ['a reviewer', 'context.reviewers.contains(Principal::"user:eve")', {}],
    ['a limit', 'resource.limits.max_row_backfill <= 100', {}],
    ['a name in scope', 'resource.scope.contains("site")', {}],
    ['a level', '["confined", "witnessed"].contains(context.level)', { context: { level: 'confined' } }],
    ['a change class', 'resource.change_class == "routine" && resource.kind == "postgis"', {}],
    ['a grant', 'context.grants.contains("irreversible")', { context: { grants: ['irreversible'] } }],
  ])('reads %s', async (_what, condition, told) => {
    const policy = `permit (principal, action, resource) when { ${condition} };`;
    const set = setOf(policy);
    expect(await checkWords(await parsePolicySet(set))).toEqual([]);
    expect(await decided(policy, told)).toMatchObject({ decision: 'allow' });
    expect(
      await decided(`${ALL} forbid (principal, action, resource) when { ${condition} };`, told),
    ).toMatchObject({
      decision: 'deny',
    });
  });

  it('the built-in policy allows who has a name and the role, and denies who has not', async () => {
    expect(await checkWords(await parsePolicySet(setOf(BUILT_IN_POLICY)))).toEqual([]);
    for (const action of POLICY_ACTIONS) {
      const role = action === 'approve' ? 'approver' : 'runner';
      for (const environment of POLICY_ENVIRONMENTS) {
        const about = { action, context: { environment } };
        const named = await decided(BUILT_IN_POLICY, { ...about, principal: { role } });
        expect(named.decision, action).toBe('allow');
        const nameless = await decided(BUILT_IN_POLICY, {
          ...about,
          principal: { id: 'user:unknown', role },
        });
        expect(nameless).toMatchObject({ decision: 'deny', policies: ['0.cedar#nameless'] });
      }
    }
    const approver = { principal: { role: 'approver' } };
    expect(await decided(BUILT_IN_POLICY, approver)).toMatchObject({ decision: 'deny', policies: [] });
  });
});

describe('a policy is read', () => {
  it('what Cedar does not take is told with line and column', async () => {
    const { findings } = await parsePolicySet(setOf('// fine\npermit (principal action, resource);'));
    expect(findings).toMatchObject([
      {
        code: 'policy_invalid',
        subject: 'registry/policy/0.cedar',
        detail: { reason: 'parse', line: 2, column: 19 },
      },
    ]);
  });

  it('a slot and a second policy of the same id are told', async () => {
    const slot = 'permit (principal == ?principal, action, resource);';
    expect((await parsePolicySet(setOf(slot))).findings).toMatchObject([{ detail: { reason: 'template' } }]);
    expect((await parsePolicySet(setOf(`${ALL}\n${ALL}`))).findings).toMatchObject([
      { detail: { reason: 'id_used_twice', id: '0.cedar#all' } },
    ]);
    expect((await parsePolicySet(setOf(ALL, ALL))).findings).toEqual([]);
  });

  it('a word that no request has is told of the policy that has it', async () => {
    const parsed = await parsePolicySet(
      setOf('@id("odd") permit (principal, action, resource) when { context.enviroment == "prod" };'),
    );
    expect(await checkWords(parsed)).toMatchObject([
      { code: 'policy_invalid', subject: 'registry/policy/0.cedar#odd', detail: { reason: 'schema' } },
    ]);
  });

  it('a request has each of its members and no others', () => {
    expect(readPolicyRequest(request())).toEqual(request());
    const { context: _, ...cut } = request();
    const wrong: readonly unknown[] = [
      cut,
      { ...request(), more: 1 },
      { ...request(), action: 'drop' },
      request({ context: { environment: 'test' as 'dev' } }),
      request({ resource: { limits: {} } }),
      { ...request(), resource: { ...request().resource, owners: [1] } },
      [],
      null,
    ];
    for (const each of wrong) expect(readPolicyRequest(each)).toBeUndefined();
  });
});
