/** What a run is held to before its commit: scope, limits, level, plan, and on the way back the old state. */
import { isRefused, refusal, type Finding } from '../base/index.ts';
import { proveEqual, proveWayBack, type Baseline, type Check, type WayBackProof } from '../evidence/index.ts';
import type { Ending } from './evidence-body.ts';
import { excepting, holdToApprovals, withoutReview } from './exception.ts';
import {
  countFindings,
  judgeLimits,
  levelFindings,
  limitFindings,
  scopeFindings,
  unplannedFindings,
} from './judge.ts';
import type { NewWrites, Observation } from './kind.ts';
import type { ForwardRun, Run } from './run.ts';
import { DEFAULT_SETTINGS, minimumLevel } from './settings.ts';

/** Holds what was observed against scope, limits, plan and, on the way back, the baseline. */
export function judgeRun(run: Run, pre: Baseline, post: Baseline, observation: Observation): Ending {
  const { scope, limits } = run.bundle.declaration;
  const planned = run.opened.plan.bound;
  const verdicts = judgeLimits(run.kind.limits, limits, observation.measures);
  const { settings = DEFAULT_SETTINGS } = run.options;
  const least = minimumLevel(settings, run.kind.name, run.subject.environment, run.subject.direction);
  const back = run.forward === undefined ? undefined : proofOf(run.forward, { pre, post, observation });
  const groups: readonly (readonly [string, readonly Finding[]])[] = [
    ['scope', scopeFindings(scope, observation.objects, observation.partOf)],
    ['limits', limitFindings(run.subject.migrationId, verdicts)],
    ['enforcement', levelFindings(run.subject.migrationId, observation.enforcement, least)],
    ...(run.kind.foreseesRows
      ? [
          [
            'counts_as_planned',
            [
              ...countFindings(planned.tables, observation.tables),
              ...unplannedFindings(planned.objects, observation.objects),
            ],
          ] as const,
        ]
      : []),
    ...(back === undefined
      ? []
      : [
          [
            'baseline_equality',
            back.proof.status === 'not_equal' ? [notEqual(run, back.differing)] : [],
          ] as const,
        ]),
  ];
  const kindFindings = [...observation.findings, ...failedChecks(observation.checks)];
  const excepted = (run.opened.exceptions ?? []).map(excepting);
  const held = (findings: readonly Finding[]): readonly Finding[] => holdToApprovals(findings, excepted);
  const found = [
    ...groups.flatMap(([, findings]) => findings),
    ...kindFindings,
    ...(back?.others ?? []).map(madeByOthers),
  ];
  return {
    outcome: 'committed',
    checks: [
      ...checksBefore(run),
      ...groups.map(([name, findings]): Check => ({
        name,
        status: isRefused(held(findings)) ? 'fail' : 'pass',
      })),
      ...observation.checks,
    ],
    findings: run.options.isRehearsal === true ? withoutReview(held(found)) : held(found),
    pre,
    post,
    witnessed: {
      layers: observation.witnesses,
      objects: observation.objects,
      tables: observation.tables,
      enforcement: observation.enforcement,
      touched: observation.touched,
      newWrites: observation.newWrites,
    },
    verdicts,
    proof: back?.proof,
  };
}

/** The checks that every run has passed before it was opened; without them it would have been refused. */
export function checksBefore(run: Run): readonly Check[] {
  const names = [
    'declaration',
    'bundle_unchanged',
    ...(run.subject.direction === 'forward' ? ['plan_unchanged'] : []),
  ];
  return names.map((name) => ({ name, status: 'pass' }));
}

/** What came while the forward run was under way, and since: each table once. */
function allWrites(during: readonly NewWrites[], since: readonly NewWrites[]): readonly NewWrites[] {
  const byTable = new Map(since.map((each) => [each.table, each]));
  for (const each of during) {
    const known = byTable.get(each.table);
    byTable.set(each.table, { ...known, table: each.table, rows: (known?.rows ?? 0) + each.rows });
  }
  return [...byTable.values()];
}

function failedChecks(checks: readonly Check[]): readonly Finding[] {
  return checks
    .filter(({ status }) => status !== 'pass')
    .map(({ name, status }) =>
      refusal('step_failed', name, {
        detail: { status },
        hint: 'See the findings of this check; nothing was changed.',
      }),
    );
}

/** How the end of a way back compares: object by object where the kind lists them, else as a whole. */
function proofOf(
  forward: ForwardRun,
  {
    pre,
    post,
    observation,
  }: { readonly pre: Baseline; readonly post: Baseline; readonly observation: Observation },
): WayBackProof {
  const { pre: expected, post: left, objects: touched, written } = forward;
  const newWrites = allWrites(forward.newWrites, observation.newWrites);
  if ([expected, left, pre, post].some(({ objects }) => objects === undefined))
    return { proof: proveEqual(expected, post, newWrites), differing: [], others: [] };
  return proveWayBack({ expected, left, begun: pre, found: post, touched, written, newWrites });
}

/** Names of differing things that one finding has. */
const MOST_NAMES = 20;

function madeByOthers(name: string): Finding {
  return {
    code: 'concurrent_change',
    severity: 'info',
    subject: name,
    detail: {},
    hint: 'Others changed this since the run that is taken back, which had not touched it. It is left as it is.',
  };
}

function notEqual(run: Run, differing: readonly string[]): Finding {
  return refusal('baseline_differs', run.subject.migrationId, {
    detail: {
      forward: run.forward?.runId ?? null,
      ...(differing.length === 0
        ? {}
        : { differing: differing.slice(0, MOST_NAMES), count: differing.length }),
    },
    hint: 'The way back would not give the old state: compare baselines/pre.json of both runs. Nothing was changed.',
  });
}
