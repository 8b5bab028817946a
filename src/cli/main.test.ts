import { mkdtemp, writeFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { capturedIo } from '../../test/cli/captured-io.ts';
import { refusal, VarveError } from '../base/index.ts';
import { withExamples, type CommandEntry } from './command.ts';
import { main } from './main.ts';

const echo: CommandEntry = {
  name: 'echo',
  summary: 'says what it was given',
  load: () =>
    Promise.resolve({
      register: (command, act) => {
        withExamples(command, ['varve echo word'])
          .argument('<word>')
          .option('--loud', 'in capitals')
          .action(
            act((context, word: string, { loud }: { loud?: boolean }) => {
              if (word === 'bug') throw new TypeError('x is not a function');
              if (word === 'locked') throw new VarveError('store_locked', { hint: 'End the other process.' });
              const said = loud === true ? word.toUpperCase() : word;
              return Promise.resolve({
                status: word === 'no' ? 'refused' : 'ok',
                findings: word === 'no' ? [refusal('unknown_table', 'no', { hint: 'Ask for yes.' })] : [],
                fields: { said, count: 3n, env: context.options.env },
                text: (style) => style('bold', said),
              });
            }),
          );
      },
    }),
};

const neverLoaded: CommandEntry = {
  name: 'other',
  summary: 'another one',
  load: () => Promise.reject(new Error('this file was not to be loaded')),
};

async function run(
  argv: readonly string[],
  captured = capturedIo(),
): Promise<readonly [number, string, string]> {
  const exit = await main(argv, captured.io, { commands: [echo, neverLoaded] });
  return [exit, captured.stdout(), captured.stderr()];
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-cli-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('main', () => {
  it('prints a result on standard output and nothing else', async () => {
    expect(await run(['echo', 'hi', '--loud'])).toEqual([0, 'HI\n', '']);
  });

  it('prints exactly one JSON object with --json, wherever it stands', async () => {
    const [exit, stdout, stderr] = await run(['--json', 'echo', 'hi', '--env', 'prod']);
    expect([exit, JSON.parse(stdout), stderr]).toEqual([
      0,
      { status: 'ok', findings: [], said: 'hi', count: 3, env: 'prod' },
      '',
    ]);
    expect((await run(['echo', 'hi', '--env', 'prod', '--json']))[1]).toBe(stdout);
  });

  it('colours a terminal, and not with NO_COLOR', async () => {
    const isTerminal = { stdin: true, stdout: true, stderr: true };
    expect((await run(['echo', 'hi'], capturedIo({ isTerminal })))[1]).toBe('\u001B[1mhi\u001B[22m\n');
    expect((await run(['echo', 'hi'], capturedIo({ isTerminal, env: { NO_COLOR: '1' } })))[1]).toBe('hi\n');
  });

  it.each([
    [['echoo', 'x'], 2, "unknown command 'echoo' (Did you mean echo?)"],
    [['echo', 'x', '--lowd'], 2, "unknown option '--lowd' (Did you mean --loud?)"],
    [['echo'], 2, "missing required argument 'word'"],
    [['echo', 'a', 'b'], 2, 'too many arguments'],
    [['echo', 'a', '--env', 'x'], 2, 'Allowed choices are dev, stage, prod'],
    [['echo', 'a', '--branch', 'b'], 2, 'this command cannot follow --branch'],
    [['--json'], 2, 'no command given'],
    [['echo', 'bug'], 1, 'TypeError: x is not a function'],
    [['echo', 'locked'], 3, 'the embedded database folder is in use'],
    [['echo', 'no'], 3, 'no such table'],
  ])('%j ends with exit status %i and says why', async (argv, exit, text) => {
    const got = await run(argv);
    expect(got[0]).toBe(exit);
    expect(argv.includes('--json') ? got[1] : got[2]).toContain(text);
  });

  it.each([
    [['echoo', '--json'], 2, 'refused', 'usage'],
    [['echo', 'bug', '--json'], 1, 'failed', 'internal'],
    [['echo', 'locked', '--json'], 3, 'refused', 'store_locked'],
    [['echo', 'no', '--json'], 3, 'refused', 'unknown_table'],
  ])('%j says status and finding as JSON', async (argv, exit, status, code) => {
    const got = await run(argv);
    expect(got[0]).toBe(exit);
    expect(JSON.parse(got[1])).toMatchObject({ status, findings: [{ code }] });
  });

  it('shows the stack of a fault only when asked', async () => {
    expect((await run(['echo', 'bug']))[2]).not.toContain('main.test.ts');
    expect((await run(['echo', 'bug'], capturedIo({ env: { VARVE_DEBUG: '1' } })))[2]).toContain(
      'main.test.ts',
    );
  });

  it('lists the commands without loading them, and helps with an example', async () => {
    const [exit, stdout] = await run(['--help']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/echo\s+says what it was given\n\s+other/u);
    expect(await run([])).toEqual([0, stdout, '']);
    expect((await run(['echo', '--help']))[1]).toContain('varve echo word');
    expect((await run(['--version']))[1]).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });

  it('refuses without a project, and says how to name one', async () => {
    const workingDir = await temporaryFolder();
    const needsStore = openingCommand();
    const captured = capturedIo({ workingDir });
    expect(await main(['open', '--json'], captured.io, { commands: [needsStore] })).toBe(3);
    expect(JSON.parse(captured.stdout())).toMatchObject({ findings: [{ code: 'config_missing' }] });
  });

  it.each([
    ['export default 1;', 'no default export'],
    ['export default { stores: {} };', 'stores names no store'],
    ['export default { stores: { a: { postgres: { url: "postgres://u:p@h/d" } } } };', 'may hold a password'],
    ['export default { stores: { a: { postgres: { urlFrom: "NOT_SET" } } } };', 'NOT_SET is not set'],
    [
      'export default { stores: { a: { embedded: "x" } }, defaultStore: "b" };',
      'defaultStore names no store',
    ],
    ['export default { stores: { a: { embedded: "x" } }, piplines: [] };', 'Write pipelines.'],
    ['export default {', 'can be imported'],
  ])('refuses the configuration %s', async (text, said) => {
    const workingDir = await temporaryFolder();
    await writeFile(join(workingDir, 'varve.config.ts'), text);
    const captured = capturedIo({ workingDir });
    expect(await main(['open'], captured.io, { commands: [openingCommand()] })).toBe(3);
    expect(captured.stderr()).toContain(said);
    expect(captured.stderr()).toContain('config_invalid');
  });

  it('does not repeat an address that it does not understand', async () => {
    const captured = capturedIo();
    expect(
      await main(['open', '--db', 'mysql://u:secret@h/d'], captured.io, { commands: [openingCommand()] }),
    ).toBe(2);
    expect(captured.stderr()).not.toContain('secret');
  });
});

function openingCommand(): CommandEntry {
  const register: Awaited<ReturnType<CommandEntry['load']>>['register'] = (command, act) => {
    const work = act(
      async (context) => {
        await context.store();
        return { status: 'ok' };
      },
      { db: true },
    );
    command.action(work);
  };
  return { name: 'open', summary: 'opens the store', load: () => Promise.resolve({ register }) };
}

describe('Ctrl-C', () => {
  it('asks to stop the first time and ends the second', async () => {
    const captured = capturedIo();
    const wait: CommandEntry = {
      name: 'wait',
      summary: 'waits',
      load: () =>
        Promise.resolve({
          register: (command, act) => {
            command.action(
              act((context) => {
                captured.interrupt();
                expect(captured.exits).toEqual([]);
                captured.interrupt();
                return Promise.reject(context.signal.reason as Error);
              }),
            );
          },
        }),
    };
    expect(await main(['wait'], captured.io, { commands: [wait] })).toBe(3);
    expect(captured.exits).toEqual([130]);
    expect(captured.stderr()).toMatch(/Press Ctrl-C again[^]*interrupted/u);
  });
});
