import { messageOf, type Finding } from '../../base/index.ts';
import { placeOf, type CheckPart } from './check-part.ts';

/**
 * Findings as JUnit XML, which build servers show as tests: a suite for each part, a case for each finding. An error
 * fails its case; a warning passes and is told; a part without findings is one case that passes, so that it is seen to
 * have run.
 */
export function junitText(parts: readonly CheckPart[], command: string): string {
  const suites = parts.map(suite);
  const count = (name: 'tests' | 'failures'): number => suites.reduce((sum, each) => sum + each[name], 0);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escaped(command)}" tests="${count('tests')}" failures="${count('failures')}">`,
    ...suites.flatMap(({ lines }) => lines),
    '</testsuites>',
  ].join('\n');
}

interface Suite {
  readonly tests: number;
  readonly failures: number;
  readonly lines: readonly string[];
}

function suite({ name, checked, findings }: CheckPart): Suite {
  const tests = Math.max(1, findings.length);
  const failures = findings.filter(({ severity }) => severity === 'error').length;
  const cases =
    findings.length === 0
      ? [`    <testcase classname="${escaped(name)}" name="${checked} checked"/>`]
      : findings.flatMap((finding) => testCase(name, finding));
  const head = `  <testsuite name="${escaped(name)}" tests="${tests}" failures="${failures}" errors="0" skipped="0">`;
  return { tests, failures, lines: [head, ...cases, '  </testsuite>'] };
}

function testCase(part: string, finding: Finding): readonly string[] {
  const { code, severity, subject, detail, hint } = finding;
  const place = placeOf(finding);
  const file = place === undefined ? '' : ` file="${escaped(place.file)}"`;
  const line = place?.line === undefined ? '' : ` line="${place.line}"`;
  const message = messageOf(code, detail);
  const told =
    severity === 'error'
      ? `      <failure type="${code}" message="${escaped(message)}">${escaped(hint)}</failure>`
      : `      <system-out>${escaped(`${severity}: ${message}. ${hint}`)}</system-out>`;
  return [
    `    <testcase classname="${escaped(part)}" name="${escaped(`${code} ${subject}`)}"${file}${line}>`,
    told,
    '    </testcase>',
  ];
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** XML 1.0 has no way to write most control characters and lone surrogates at all. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replaceAll(/[&<>"]/gu, (character) => ENTITIES[character] ?? character)
    .replaceAll(/[\t\n\r]/gu, (character) => `&#${character.codePointAt(0) ?? 32};`);
}
