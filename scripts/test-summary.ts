// Counts what `npm test` left in .cache/vitest.json. A skipped test is a failure here: this is the run that has all it
// needs. The counts are the last line.
import { existsSync, readFileSync } from 'node:fs';

interface Report {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

const REPORT = '.cache/vitest.json';

process.exitCode = summarize();

function summarize(): number {
  if (!existsSync(REPORT)) {
    console.log(`no ${REPORT}: the tests did not run to their end\n0 passed, 1 failed, 0 skipped`);
    return 1;
  }
  const { success, testResults } = JSON.parse(readFileSync(REPORT, 'utf8')) as Report;
  const tests = testResults.flatMap((file) => file.assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed');
  const failed = tests.filter(({ status }) => status === 'failed');
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  const broken = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  );
  for (const { fullName } of failed) console.log(`failed:  ${fullName}`);
  for (const { name } of broken) console.log(`failed:  ${name}, before its tests could tell`);
  for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);
  if (!success) console.log('the run as a whole did not succeed');
  console.log(`${passed.length} passed, ${failed.length + broken.length} failed, ${skipped.length} skipped`);
  return success && passed.length > 0 && skipped.length === 0 ? 0 : 1;
}
