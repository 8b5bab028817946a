import { describe, expect, it } from 'vitest';
import {
  approvalFaults,
  isKeyValid,
  publicKeys,
  type Approval,
  type RegisteredKey,
  type WantedApproval,
} from './approval.ts';
import { sha256 } from './digest.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW_MS = Date.parse('2026-05-12T00:00:00.000Z');
const at = (days: number): string => new Date(NOW_MS + days * DAY_MS).toISOString();
const KEY: RegisteredKey = {
  key_id: sha256('key'),
  principal: 'user:eve',
  role: 'approver',
  environments: ['dev', 'stage'],
  public_key: 'AAAA',
  valid_from: at(-10),
  valid_until: null,
};
const APPROVAL: Approval = {
  approval_version: 'v1',
  migration_id: 'PIPE-MIG-2026-05-12-01',
  bundle_digest: sha256('bundle'),
  plan_digest: sha256('plan'),
  environment: 'stage',
  principal: 'user:eve',
  grants: ['retire'],
  exceptions: [],
  issued_at: at(-1),
  expires_at: at(1),
};
const WANTED: WantedApproval = {
  migrationId: 'PIPE-MIG-2026-05-12-01',
  bundleDigest: sha256('bundle'),
  planDigest: sha256('plan'),
  environment: 'stage',
  grant: 'retire',
  nowMs: NOW_MS,
};

describe('M116 an approval', () => {
  it('counts where everything is as it was signed', () => {
    expect(approvalFaults(APPROVAL, KEY, WANTED)).toEqual([]);
  });

  it.each<readonly [string, Partial<Approval>, Partial<RegisteredKey>, Partial<WantedApproval>]>([
    ['migration', {}, {}, { migrationId: 'PIPE-MIG-2026-05-12-02' }],
    ['grant', { grants: ['apply'] }, {}, {}],
    ['environment', { environment: 'dev' }, {}, {}],
    ['bundle_changed', {}, {}, { bundleDigest: sha256('another') }],
    ['plan_changed', {}, {}, { planDigest: sha256('another') }],
    ['principal', { principal: 'user:ada' }, {}, {}],
    ['role', {}, { role: 'runner' }, {}],
    ['key_environment', {}, { environments: ['dev'] }, {}],
    ['key_validity', {}, { valid_from: at(0) }, {}],
    ['key_validity', {}, { valid_until: at(-1) }, {}],
    ['issued_later', { issued_at: at(0.5) }, {}, {}],
    ['expired', { expires_at: at(0) }, {}, {}],
  ])('does not count for its %s', (reason, approval, key, wanted) => {
    expect(
      approvalFaults({ ...APPROVAL, ...approval } as Approval, { ...KEY, ...key } as RegisteredKey, {
        ...WANTED,
        ...wanted,
      }),
    ).toEqual([reason]);
  });

  it('M117 counts when its key ran out after it was signed', () => {
    expect(approvalFaults(APPROVAL, { ...KEY, valid_until: at(-0.5) }, WANTED)).toEqual([]);
    expect(isKeyValid({ ...KEY, valid_until: at(-0.5) }, NOW_MS)).toBe(false);
  });
});

describe('the register of keys', () => {
  it('gives the bytes of each key, and none of what is no base64', () => {
    const keys = [KEY, { ...KEY, key_id: sha256('other'), public_key: '!' }];
    expect([...publicKeys({ keys_version: 'v1', keys })]).toEqual([[KEY.key_id, new Uint8Array([0, 0, 0])]]);
  });
});
