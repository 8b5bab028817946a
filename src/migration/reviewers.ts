/** Whether those have signed who have to (M47, M53, M57): a pure function of the declaration and the approvals that count. */
import { refusal, type Finding } from '../base/index.ts';
import type { KeyRegister } from '../evidence/index.ts';
import { ANY_APPROVER, type Declaration } from './declaration.ts';
import type { ValidApproval } from './find-approvals.ts';
import type { EnvironmentName, MigrationSettings } from './settings.ts';

/** What the signatures are held to. */
export interface ReviewScene {
  readonly declaration: Declaration;
  readonly settings: MigrationSettings;
  readonly register: KeyRegister;
  readonly environment: EnvironmentName;
  /** Who runs it; outside of dev, who approves does not run (M53). */
  readonly runner: string;
  /** Who wrote it, by the registry; of a governance-critical change they are not the only ones to approve (M53). */
  readonly authors: readonly string[];
}

/** What is missing among the signatures; none when they suffice. */
export function reviewFindings(approvals: readonly ValidApproval[], scene: ReviewScene): readonly Finding[] {
  const { declaration, runner, authors } = scene;
  const counting = approvals.filter(({ principal }) => principal !== runner);
  const principals = counting.map(({ principal }) => principal);
  const findings = declaration.approvals.required_reviewers.flatMap((reviewer) =>
    reviewerFindings(reviewer, principals, scene),
  );
  if (counting.length < approvals.length && findings.length > 0)
    findings.push(lacking(scene, { reason: 'approved by nobody but the runner', runner }));
  const isCritical = declaration.approvals.change_class === 'governance-critical';
  if (isCritical && principals.every((principal) => authors.includes(principal)))
    findings.push(lacking(scene, { reason: 'approved by nobody but its authors', authors }));
  if (!declaration.requires_rollback && !counting.some(({ grants }) => grants.includes('irreversible')))
    findings.push(lacking(scene, { reason: 'nobody signed that there is no way back' }, ' --irreversible'));
  return findings;
}

function reviewerFindings(
  reviewer: string,
  principals: readonly string[],
  scene: ReviewScene,
): readonly Finding[] {
  const members = membersOf(reviewer, scene);
  if (members === undefined) {
    const hint = `Define it in varve.config.ts, migrations.groups, or name a principal or ${ANY_APPROVER}.`;
    return [
      refusal('approval_missing', scene.declaration.migration_id, {
        detail: { reason: 'no such group', reviewer },
        hint,
      }),
    ];
  }
  if (principals.some((principal) => members.includes(principal))) return [];
  return [lacking(scene, { reason: 'a required reviewer has not signed', reviewer })];
}

/** The principals whom a reviewer stands for; undefined where there is no such group. */
export function membersOf(
  reviewer: string,
  { settings, register, environment }: Pick<ReviewScene, 'settings' | 'register' | 'environment'>,
): readonly string[] | undefined {
  if (!reviewer.startsWith('group:')) return [reviewer];
  if (reviewer !== ANY_APPROVER) return settings.groups?.[reviewer.slice('group:'.length)];
  return register.keys
    .filter(({ role, environments }) => role === 'approver' && environments.includes(environment))
    .map(({ principal }) => principal);
}

function lacking(
  { declaration, environment }: ReviewScene,
  detail: Readonly<Record<string, string | readonly string[]>>,
  flags = '',
): Finding {
  const id = declaration.migration_id;
  return refusal('approval_missing', id, {
    detail: { grant: 'apply', environment, ...detail },
    hint: `Look at its plan, then sign it: varve approve ${id} --env ${environment} --as PRINCIPAL --key FILE${flags}.`,
  });
}
