export { canonicalJson } from './canonical-json.ts';
export { isoTime, systemClock, type Clock } from './clock.ts';
export { ERROR_CODES, type ErrorCode, type ErrorCodeEntry } from './error-code.ts';
export { isVarveError, messageOf, VarveError, type VarveErrorOptions } from './error.ts';
export { isRefused, refusal, type Finding, type Severity } from './finding.ts';
export { hex, runId, systemRandomBytes, type RandomBytes } from './id.ts';
export type { Json, JsonObject } from './json.ts';
export { nearestName } from './nearest.ts';
