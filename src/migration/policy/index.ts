export { newPolicy, policyFindings } from './fixture.ts';
export { holdToPolicy, type KeptPolicy } from './hold-to-policy.ts';
