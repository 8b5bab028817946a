import { ERROR_CODES, messageOf, type ErrorCode, type Finding, type Severity } from '../../base/index.ts';
import { LINT_RULES } from '../../migration/index.ts';
import { CHECK_RULES } from '../../pipeline/index.ts';
import { CONFIG_FILE } from '../config.ts';
import { placeOf, type CheckPart } from './check-part.ts';

const LEVEL_BY_SEVERITY = {
  error: 'error',
  review: 'warning',
  warning: 'warning',
  info: 'note',
} as const satisfies Record<Severity, string>;

/**
 * Findings as SARIF 2.1.0, which code hosts show beside the lines of a change.
 *
 * Shape: `{ version: '2.1.0', runs: [{ tool: { driver: { name, version, rules } }, results: [{ ruleId, level, message, locations }] }] }`
 * Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
 */
export function sarifText(parts: readonly CheckPart[], release: string): string {
  const findings = parts.flatMap((part) => part.findings);
  const codes = [...new Set(findings.map(({ code }) => code))].toSorted();
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'varve',
            version: release,
            rules: codes.map((code) => sarifRule(code)),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: findings.map((finding) => sarifResult(finding, codes.indexOf(finding.code))),
      },
    ],
  };
  return JSON.stringify(log, null, 2);
}

/** A rule of the check of sources, or of the lint, says why it is there and what to do; of other codes the summary says it all. */
function sarifRule(code: ErrorCode): object {
  const shortDescription = { text: ERROR_CODES[code].summary };
  const rule = [...CHECK_RULES, ...LINT_RULES].find((each) => each.code === code);
  if (rule === undefined) return { id: code, shortDescription };
  return { id: code, shortDescription, fullDescription: { text: rule.why }, help: { text: rule.remedy } };
}

function sarifResult(finding: Finding, ruleIndex: number): object {
  const { code, severity, subject, detail, hint } = finding;
  const place = placeOf(finding);
  const region =
    place?.line === undefined
      ? {}
      : {
          region: {
            startLine: place.line,
            ...(place.column === undefined ? {} : { startColumn: place.column }),
          },
        };
  // Code hosts refuse a result without a file; what stands in none belongs to the project as its configuration says it.
  const uri = (place?.file ?? CONFIG_FILE).toWellFormed().split('/').map(encodeURIComponent).join('/');
  return {
    ruleId: code,
    ruleIndex,
    level: LEVEL_BY_SEVERITY[severity],
    message: { text: `${subject}: ${messageOf(code, detail)}. ${hint}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri, uriBaseId: '%SRCROOT%' }, ...region },
        logicalLocations: [{ fullyQualifiedName: subject }],
      },
    ],
    // Code hosts show what is suppressed as closed, with its reason.
    ...(typeof detail['allowed'] === 'string'
      ? { suppressions: [{ kind: 'inSource', justification: detail['allowed'] }] }
      : {}),
  };
}
