/**
 * Comments that allow what a rule finds, with the reason:
 *
 * ```text
 * -- varve-allow table_dropped: nothing has read geo.old_place since May
 * drop table geo.old_place;
 * ```
 *
 * One stands on the line of the finding, or above it or above its statement, names the rule (`table_dropped` of
 * `lint_table_dropped`) and gives a reason; without one it allows nothing and is refused. What is allowed is still told,
 * as `info`, with the reason.
 */
import type { Finding, JsonObject } from '../../../../base/index.ts';
import { nearestName } from '../../../../base/index.ts';
import type { Script } from '../../../../store/index.ts';

/** A finding with the lines that a comment for it may speak of. */
export interface Placed {
  readonly finding: Finding;
  readonly lines: readonly number[];
}

interface Allowance {
  readonly start: number;
  readonly line: number;
  /** The first line of code below it. */
  readonly untilLine: number;
  readonly code: string;
  readonly reason: string;
}

const COMMENT =
  /^(?:--|\/\*+)\s*varve-allow\b\s*(?:lint_)?(?<what>[\w-]*)\s*:?\s*(?<reason>.*?)\s*(?:\*\/)?$/s;

/** The findings of a script with what its comments allow, and what is wrong with those comments. */
export function withAllowances(
  script: Script,
  text: string,
  placed: readonly Placed[],
  options: { readonly codes: readonly string[]; readonly file: JsonObject },
): readonly Placed[] {
  const allowances = text.includes('varve-allow') ? allowancesIn(script, text) : [];
  if (allowances.length === 0) return placed;
  const byLine = Map.groupBy(
    allowances.flatMap((allowance) =>
      [allowance.line, allowance.untilLine].map((line) => ({ line, allowance })),
    ),
    ({ line }) => line,
  );
  const needed = new Set<Allowance>();
  const told = placed.map((each) => {
    const { finding, lines } = each;
    const found = lines
      .flatMap((line) => byLine.get(line) ?? [])
      .find(({ allowance: { code, reason } }) => code === finding.code && reason !== '')?.allowance;
    if (found === undefined) return each;
    needed.add(found);
    return { lines, finding: allowed(finding, found.reason) };
  });
  const left = allowances.filter((allowance) => !needed.has(allowance));
  return [...told, ...left.map((allowance) => invalid(script, allowance, options))];
}

function allowancesIn({ tokens, placeOf }: Script, text: string): readonly Allowance[] {
  const lines = text.split('\n');
  return tokens().flatMap(({ kind, text: comment, start, end }) => {
    const groups = kind === 'comment' ? COMMENT.exec(comment)?.groups : undefined;
    if (groups === undefined) return [];
    const { what = '', reason = '' } = groups;
    const { line } = placeOf(start);
    return [{ start, line, untilLine: nextCodeLine(lines, placeOf(end).line), code: `lint_${what}`, reason }];
  });
}

/** The first line below that is neither empty nor a comment itself, so that several can stand above one statement. */
function nextCodeLine(lines: readonly string[], line: number): number {
  let next = line + 1;
  while (/^\s*(?:--[^]*)?$/.test(lines[next - 1] ?? 'end')) next += 1;
  return next;
}

function allowed(finding: Finding, reason: string): Finding {
  return {
    ...finding,
    severity: 'info',
    detail: { ...finding.detail, allowed: reason },
    hint: 'A comment allows it. Remove the comment once its reason no longer holds.',
  };
}

function invalid(
  { placeOf }: Script,
  { start, line, code, reason }: Allowance,
  { codes, file }: { readonly codes: readonly string[]; readonly file: JsonObject },
): Placed {
  const isKnown = codes.includes(code);
  const what = code.slice('lint_'.length);
  const words = codes.map((each) => each.slice('lint_'.length));
  const [why, hint] = !isKnown
    ? ['it names no rule', `Write ${nearestName(what, words) ?? 'the rule'}, or see docs/reference/lints.md.`]
    : reason === ''
      ? ['it gives no reason', `Write the reason after a colon: \`-- varve-allow ${what}: REASON\`.`]
      : ['nothing needs it', 'Remove it, or put it on the line of what it allows or above that.'];
  return {
    lines: [line],
    finding: {
      code: 'allowance_invalid',
      severity: isKnown && reason !== '' ? 'warning' : 'error',
      subject: what === '' ? 'varve-allow' : what,
      detail: { ...file, ...placeOf(start), reason: why },
      hint,
    },
  };
}
