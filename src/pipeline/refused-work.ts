import { VarveError, type Finding } from '../base/index.ts';

/** Carries findings out of a transaction, which they end; it never leaves the function that began the transaction. */
export class RefusedWork extends VarveError {
  readonly findings: readonly Finding[];
  constructor(findings: readonly Finding[]) {
    super(findings[0]?.code ?? 'internal', { hint: findings[0]?.hint ?? '' });
    this.findings = findings;
  }
}
