export type { RestrictedArea } from './position.ts';
export { redactJson, scanFindings, scanText, type ScanAbout, type ScanHit } from './scan.ts';
