/** What approvals allow of what findings refuse (M26, M57, M58): a pure function of both. */
import type { Finding } from '../base/index.ts';
import type { ApprovedException } from '../evidence/index.ts';

/** Refusals that a signature may allow up to a ceiling (M26, M27); every other one is final. */
const EXCEPTABLE: readonly string[] = ['limit_exceeded', 'protected_domain_changed'];

/** An approval, as far as exceptions go. */
export interface Excepting {
  readonly principal: string;
  readonly exceptions: readonly ApprovedException[];
}

/**
 * The findings with those that an exception allows turned into warnings that say who allowed them; what is left of
 * severity `error` and `review` still refuses.
 */
export function holdToApprovals(
  findings: readonly Finding[],
  approvals: readonly Excepting[],
): readonly Finding[] {
  return findings.map((finding) => {
    if (!isExceptable(finding)) return finding;
    const approvers = approvals.filter(({ exceptions }) => exceptions.some((each) => covers(each, finding)));
    if (approvers.length === 0) return withWay(finding);
    const allowedBy = [...new Set(approvers.map(({ principal }) => principal))].toSorted();
    return { ...finding, severity: 'warning', detail: { ...finding.detail, allowedBy } };
  });
}

/** An exception of its own, as an approval that has no other. */
export function excepting(exception: ApprovedException & { readonly principal: string }): Excepting {
  return { principal: exception.principal, exceptions: [exception] };
}

/** Findings as a rehearsal takes them: what wants a review is told, and refuses nothing. */
export function withoutReview(findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) =>
    finding.severity === 'review' ? { ...finding, severity: 'warning' } : finding,
  );
}

/** What `--except` has to say for a finding: its code, what it is about, and how many it counts. */
export function exceptionFor(finding: Finding): ApprovedException {
  const { code, detail, subject } = finding;
  const { limit } = detail;
  return { code, subject: typeof limit === 'string' ? limit : subject, ceiling: amountOf(finding) };
}

function isExceptable({ severity, code }: Finding): boolean {
  return severity === 'review' || (severity === 'error' && EXCEPTABLE.includes(code));
}

function covers(exception: ApprovedException, finding: Finding): boolean {
  const { code, subject, ceiling } = exceptionFor(finding);
  if (exception.code !== code || exception.subject !== subject) return false;
  return ceiling === null || (exception.ceiling !== null && ceiling <= exception.ceiling);
}

/** How many a finding counts; null where it counts nothing. */
function amountOf({ detail }: Finding): number | null {
  for (const name of ['observed', 'rows', 'count']) {
    const value = detail[name];
    if (typeof value === 'number') return value;
  }
  return null;
}

function withWay(finding: Finding): Finding {
  const { code, subject, ceiling } = exceptionFor(finding);
  const exception = `${code}:${subject}${ceiling === null ? '' : `:${ceiling}`}`;
  return { ...finding, hint: `${finding.hint} Where it is meant: \`varve approve --except ${exception}\`.` };
}
