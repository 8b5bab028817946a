import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { openPython } from '../../bench/peers/python.ts';

/** Runs a program with DataJoint, and gives the JSON that it prints. */
export type DataJoint = (argv: readonly string[], env: Readonly<Record<string, string>>) => Promise<unknown>;

/**
 * A Python with DataJoint, made on first use by the ordinary `pip` in a folder below `.cache`; the releases are those of
 * `bench/peers/requirements.txt`.
 *
 * Errors: throws where it cannot be had: what is said of DataJoint is seen with DataJoint, or it is not said.
 */
export async function openDataJoint(): Promise<DataJoint> {
  const opened = await openPython((message) => console.info(message));
  if (opened.status === 'missing') throw new Error(`no DataJoint to test with: ${opened.reason}`);
  return async (argv, env) => {
    const options = { env: { ...process.env, DJ_IGNORE_CONFIG_FILE: 'true', ...env } };
    const { stdout } = await promisify(execFile)(opened.python, [...argv], options);
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? 'null') as unknown;
  };
}
