import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { pageText } from './page.ts';

const LIMIT_MS = 120_000;
const CHROMIUM = '/usr/bin/chromium';
const missing = existsSync(CHROMIUM) ? undefined : `${CHROMIUM} is missing: install Debian's chromium`;
// In CI it is there, or the test fails.
const reason = process.env['CI'] === undefined ? missing : undefined;
if (reason !== undefined) console.info(`documents in a browser are skipped: ${reason}`);

it.skipIf(reason !== undefined)(
  'a browser does with documents what Node does, to the letter',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'varve-browser-'));
    const page = join(folder, 'page.html');
    await writeFile(page, htmlOf(await bundle()));
    const dumped = await dumpDom(folder, page);
    await rm(folder, { recursive: true, force: true });
    const told = /<output>([\s\S]*)<\/output>/u.exec(dumped)?.[1];
    expect(told).toBeDefined();
    const found = Buffer.from(told ?? '', 'base64').toString();
    const wanted = await pageText();
    expect(JSON.parse(wanted)).toMatchObject({
      findings: [],
      up: { status: 'migrated' },
      down: { status: 'migrated' },
    });
    expect(found).toBe(wanted);
  },
  LIMIT_MS,
);

/** Everything a page needs, the validator included. */
async function bundle(): Promise<string> {
  const contents = `
    import { pageText } from './page.ts';
    const tell = (text) => {
      document.querySelector('output').textContent = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    };
    pageText().then(tell, (error) => tell(String(error.stack)));
  `;
  const { outputFiles, warnings } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: 'iife',
    platform: 'browser',
    conditions: ['@varve/source'],
    charset: 'ascii',
    write: false,
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  return outputFiles[0]?.text ?? '';
}

function htmlOf(script: string): string {
  return `<!doctype html><meta charset="utf-8"><output></output><script>${script.replaceAll('</', '<\\/')}</script>`;
}

async function dumpDom(folder: string, page: string): Promise<string> {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
  const { stdout } = await promisify(execFile)(
    CHROMIUM,
    [
      ...flags,
      `--user-data-dir=${join(folder, 'profile')}`,
      '--virtual-time-budget=20000',
      '--dump-dom',
      `file://${page}`,
    ],
    { maxBuffer: 2 ** 26, timeout: LIMIT_MS },
  );
  return stdout;
}
