import { describe, expect, it } from 'vitest';
import { sha256, type RegisteredKey } from '../evidence/index.ts';
import type { Declaration } from './declaration.ts';
import type { ValidApproval } from './find-approvals.ts';
import { reviewFindings, type ReviewScene } from './reviewers.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const declaration = (
  about: Partial<Declaration['approvals']> & { readonly back?: boolean } = {},
): Declaration => {
  const { back = true, ...approvals } = about;
  return {
    migration_id: 'PG-MIG-2026-03-01-01',
    type: 'postgis',
    intent: 'x',
    scope: { allowed_schemas: [], allowed_tables: [], forbidden_schemas: [], forbidden_tables: [] },
    limits: {},
    requires_rollback: back,
    approvals: { required_reviewers: ['group:approvers'], change_class: 'routine', ...approvals },
    artifacts: { forward: ['forward.sql'], rollback: [] },
  };
};
const key = (principal: string, role: RegisteredKey['role'] = 'approver'): RegisteredKey => ({
  key_id: sha256(principal),
  principal,
  role,
  environments: ['stage'],
  public_key: '',
  valid_from: '2026-01-01T00:00:00.000Z',
  valid_until: null,
});
const scene = (about: Partial<ReviewScene> = {}): ReviewScene => ({
  declaration: declaration(),
  settings: { ...DEFAULT_SETTINGS, groups: { data: ['user:eve', 'user:ada'] } },
  register: { keys_version: 'v1', keys: [key('user:eve'), key('user:bot', 'runner')] },
  environment: 'stage',
  runner: 'user:bot',
  authors: ['user:ada'],
  ...about,
});
const by = (principal: string, grants: ValidApproval['grants'] = ['apply']): ValidApproval => ({
  digest: sha256(principal),
  principal,
  grants,
  exceptions: [],
  issuedAtMs: 0,
  bytes: new Uint8Array(),
});
const reasons = (approvals: readonly ValidApproval[], about: Partial<ReviewScene> = {}): readonly unknown[] =>
  reviewFindings(approvals, scene(about)).map(({ detail }) => detail['reason']);

describe('required reviewers', () => {
  it('M57 any registered approver of the environment speaks for group:approvers', () => {
    expect(reasons([by('user:eve')])).toEqual([]);
    expect(reasons([])).toEqual(['a required reviewer has not signed']);
    expect(reasons([by('user:ada')])).toEqual(['a required reviewer has not signed']);
    expect(reasons([by('user:eve')], { environment: 'prod' })).toEqual([
      'a required reviewer has not signed',
    ]);
  });

  it('M57 every reviewer that is named has to sign, one of a group for the group', () => {
    const both = { declaration: declaration({ required_reviewers: ['group:data', 'user:ada'] }) };
    expect(reasons([by('user:eve')], both)).toEqual(['a required reviewer has not signed']);
    expect(reasons([by('user:ada')], both)).toEqual([]);
    const unknown = { declaration: declaration({ required_reviewers: ['group:nobody'] }) };
    expect(reasons([by('user:eve')], unknown)).toEqual(['no such group']);
  });

  it('M53 who runs it does not approve it', () => {
    expect(reasons([by('user:eve')], { runner: 'user:eve' })).toEqual([
      'a required reviewer has not signed',
      'approved by nobody but the runner',
    ]);
  });

  it('M53 the author is not the only approver of a governance-critical change', () => {
    const critical = {
      declaration: declaration({ change_class: 'governance-critical', required_reviewers: ['group:data'] }),
    };
    expect(reasons([by('user:ada')], critical)).toEqual(['approved by nobody but its authors']);
    expect(reasons([by('user:ada'), by('user:eve')], critical)).toEqual([]);
  });

  it('M47 somebody signs that there is no way back', () => {
    const none = { declaration: declaration({ back: false }) };
    expect(reasons([by('user:eve')], none)).toEqual(['nobody signed that there is no way back']);
    expect(reasons([by('user:eve', ['apply', 'irreversible'])], none)).toEqual([]);
  });
});
