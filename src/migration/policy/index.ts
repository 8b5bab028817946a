export { newPolicy, policyFindings } from './fixture.ts';
export { holdToPolicy } from './hold-to-policy.ts';
