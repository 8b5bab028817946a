import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { newPolicy, policyFindings } from './fixture.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-policy-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const at = (...names: readonly string[]): string => join(root, 'registry/policy', ...names);
const reasons = async (): Promise<readonly unknown[]> =>
  (await policyFindings(root)).map(({ code, subject, detail }) => [
    code,
    subject.replace('registry/policy/', ''),
    detail['reason'],
  ]);

it('M129 nothing is asked of a project without a policy, and a new one passes', async () => {
  expect(await policyFindings(root)).toEqual([]);
  expect(await newPolicy(root)).toMatchObject({ status: 'written' });
  expect(await policyFindings(root)).toEqual([]);
  expect(await readdir(at('allow'))).toHaveLength(18);
  expect(await readdir(at('deny'))).toHaveLength(18);
  expect(await newPolicy(root)).toMatchObject({ status: 'refused', findings: [{ code: 'files_exist' }] });
});

it('M129 a missing fixture fails, of either decision', async () => {
  await newPolicy(root);
  await rm(at('allow/apply.prod.named.json'));
  await rm(at('deny/plan.dev.nameless.json'));
  expect(await reasons()).toEqual([
    ['policy_fixture_failed', 'allow/apply.prod.json', 'missing'],
    ['policy_fixture_failed', 'deny/plan.dev.json', 'missing'],
  ]);
});

it('M129 a fixture that is decided otherwise fails, and every other one is still evaluated', async () => {
  await newPolicy(root);
  const forbid =
    'forbid (principal, action == Action::"retire", resource) when { context.environment == "prod" };';
  await writeFile(at('more.cedar'), forbid);
  await rename(at('deny/apply.dev.nameless.json'), at('allow/apply.dev.nameless.json'));
  expect(await reasons()).toEqual([
    ['policy_fixture_failed', 'allow/apply.dev.nameless.json', 'decided_otherwise'],
    ['policy_fixture_failed', 'allow/retire.prod.named.json', 'decided_otherwise'],
    ['policy_fixture_failed', 'deny/apply.dev.json', 'missing'],
  ]);
});

it('M129 a fixture that is no request, or asks for something else than its name says, fails', async () => {
  await newPolicy(root);
  const text = await readFile(at('allow/apply.dev.named.json'), 'utf8');
  await writeFile(at('allow/apply.stage.named.json'), text);
  await writeFile(at('allow/apply.prod.named.json'), '{');
  await writeFile(at('allow/readme.txt'), 'apply.dev');
  expect(await reasons()).toEqual([
    ['policy_fixture_failed', 'allow/apply.prod.named.json', 'no_request'],
    ['policy_fixture_failed', 'allow/apply.stage.named.json', 'name_differs'],
    ['policy_fixture_failed', 'allow/readme.txt', 'no_request'],
  ]);
});

it('M129 a denial for an error is no denial that a fixture shows', async () => {
  await newPolicy(root);
  await writeFile(
    at('more.cedar'),
    'forbid (principal, action == Action::"plan", resource) when { 9223372036854775807 + 1 == 1 };',
  );
  expect(await reasons()).toEqual(
    ['dev', 'prod', 'stage']
      .flatMap((environment) => [['policy_fixture_failed', `allow/plan.${environment}.named.json`, 'error']])
      .concat(
        ['dev', 'prod', 'stage'].map((environment) => [
          'policy_fixture_failed',
          `deny/plan.${environment}.nameless.json`,
          'error',
        ]),
      ),
  );
});

it('a folder without a policy allows nothing and says so', async () => {
  await newPolicy(root);
  await rm(at('main.cedar'));
  expect(await reasons()).toEqual([['policy_invalid', 'registry/policy', 'no_policy']]);
});

it('a policy that Cedar does not take, and a word that no request has, are told', async () => {
  await newPolicy(root);
  await writeFile(at('more.cedar'), 'permit (principal, action, resource) when { principal.rank > 1 };');
  expect(await reasons()).toEqual(expect.arrayContaining([['policy_invalid', 'more.cedar#1', 'schema']]));
  await writeFile(at('more.cedar'), 'permit');
  expect(await reasons()).toEqual([['policy_invalid', 'more.cedar', 'parse']]);
});
