// Runs what the documentation shows.
//
// | fence                     | what happens                                                               |
// | ------------------------- | -------------------------------------------------------------------------- |
// | ts                        | a program of its own, type-checked and run; it imports `varve/...` as a     |
// |                           | user does, and in a comment it also sees what its own file exports          |
// | sh                        | all of a page in order, one script, in an empty folder with `varve` installed |
// | text, json, sql, yaml,    | shown, not run                                                             |
// | mermaid, diff             |                                                                            |
// | anything else, or no word | refused: `bash` for `sh` would be a way never to be run                     |
//
// Links to files have to reach one, and a page that names `npm run x` has to name a script that exists.
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { allFences, markdownPages, type Fence } from './fence.ts';

interface Program {
  /** Where its text stands, such as `README.md:12`. */
  readonly origin: string;
  readonly command: readonly [string, ...string[]];
}

const OUT = resolve('.cache/docs');
const NOT_RUN = new Set(['text', 'json', 'sql', 'yaml', 'mermaid', 'diff']);
const LIMIT_MS = 600_000;
const WORKERS = 2;

rmSync(OUT, { recursive: true, force: true });
mkdirSync(OUT, { recursive: true });
const fences = allFences();
const programs = [...typescriptPrograms(fences), ...shellPrograms(fences)];
const pages = markdownPages();
const faults = [
  ...fences.flatMap(unknownLanguage),
  ...pages.flatMap(brokenLinks),
  ...pages.flatMap(unknownScripts),
  ...(await typeFaults()),
  ...(await runFaults()),
];

for (const fault of faults) console.error(fault);
console.log(
  `${programs.length} programs of the documentation, ${pages.length} pages, ${faults.length} faults`,
);
process.exitCode = faults.length === 0 ? 0 : 1;

function unknownLanguage({ filePath, line, language }: Fence): readonly string[] {
  if (language === 'ts' || language === 'sh' || NOT_RUN.has(language)) return [];
  const given = language === '' ? 'without a word' : `marked ${language}`;
  return [`${filePath}:${line} a fence ${given}; mark it ts or sh to have it run, text to have it shown`];
}

function brokenLinks(filePath: string): readonly string[] {
  const found = readFileSync(filePath, 'utf8').matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g);
  return [...found]
    .map(([, target = '']) => target)
    .filter((target) => !existsSync(join(dirname(filePath), target)))
    .map((target) => `${filePath} links to ${target}, which does not exist`);
}

function unknownScripts(filePath: string): readonly string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const found = readFileSync(filePath, 'utf8').matchAll(/\bnpm (?:run ([\w:-]+)|(test|start)\b)/g);
  return [...found]
    .map(([, named, short]) => named ?? short ?? '')
    .filter((name) => scripts[name] === undefined)
    .map((name) => `${filePath} names the npm script ${name}, which does not exist`);
}

function typescriptPrograms(all: readonly Fence[]): readonly Program[] {
  return all
    .filter((fence) => fence.language === 'ts')
    .map((fence) => {
      const filePath = join(OUT, `${slug(fence.filePath)}-${fence.line}.ts`);
      // An empty export makes a module of a fence without imports, so that names of two fences never meet.
      writeFileSync(filePath, `${ownExports(fence)}${fence.body}export {};\n`);
      return { origin: originOf(fence), command: ['node', '--conditions=@varve/source', filePath] };
    });
}

/** A comment's fence sees what its own file exports; on the first line, so that line numbers hold. */
function ownExports({ filePath, body }: Fence): string {
  if (!filePath.endsWith('.ts')) return '';
  const exported = readFileSync(filePath, 'utf8').matchAll(
    /^export (?:async )?(?:function|const|class) (\w+)/gm,
  );
  const wanted = [...exported]
    .map(([, name = '']) => name)
    .filter((name) => new RegExp(`\\b${name}\\b`).test(body))
    .filter((name) => !new RegExp(`^import [^;]*\\b${name}\\b`, 'm').test(body));
  if (wanted.length === 0) return '';
  return `import { ${wanted.join(', ')} } from '${relative(OUT, resolve(filePath))}'; `;
}

function shellPrograms(all: readonly Fence[]): readonly Program[] {
  const shell = Map.groupBy(
    all.filter((fence) => fence.language === 'sh'),
    (fence) => fence.filePath,
  );
  return [...shell].map(([filePath, ofPage]) => {
    const scriptPath = join(OUT, `${slug(filePath)}.sh`);
    const blocks = ofPage.map((fence) => `# ${originOf(fence)}\n${fence.body}`);
    writeFileSync(scriptPath, `set -eux\n${blocks.join('\n')}`);
    return { origin: filePath, command: ['bash', scriptPath] };
  });
}

async function typeFaults(): Promise<readonly string[]> {
  if (!programs.some(({ command }) => command[0] === 'node')) return [];
  const configPath = join(OUT, 'tsconfig.json');
  const compilerOptions = { declaration: false, isolatedDeclarations: false, noUnusedLocals: false };
  const config = { extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'] };
  writeFileSync(configPath, JSON.stringify(config));
  const fault = await faultOf({ origin: 'types of the ts fences', command: ['tsc', '-p', configPath] });
  return fault === undefined ? [] : [fault];
}

async function runFaults(): Promise<readonly string[]> {
  const found: string[] = [];
  const waiting = [...programs];
  const workers = Array.from({ length: WORKERS }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const fault = await faultOf(next);
      if (fault !== undefined) found.push(fault);
    }
  });
  await Promise.all(workers);
  return found;
}

async function faultOf({ origin, command: [file, ...args] }: Program): Promise<string | undefined> {
  const folder = userFolder();
  const child = spawn(file, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    env: userEnvironment(folder),
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const { promise, resolve: settle, reject } = Promise.withResolvers<string | undefined>();
  child.on('error', reject);
  child.on('close', (status, signal) =>
    settle(status === 0 ? undefined : `${origin} ended with ${signal ?? `status ${status}`}\n${output}`),
  );
  const fault = await promise;
  rmSync(folder, { recursive: true, force: true });
  return fault;
}

/** An empty folder in which `npm install varve` seems to have been run. */
function userFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'varve-docs-'));
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  symlinkSync(resolve('.'), join(folder, 'node_modules/varve'));
  // What a `makeWith` writes its statements with; npm puts it beside.
  symlinkSync(resolve('node_modules/kysely'), join(folder, 'node_modules/kysely'));
  symlinkSync(resolve('bin/varve.js'), join(folder, 'node_modules/.bin/varve'));
  return folder;
}

function userEnvironment(folder: string): NodeJS.ProcessEnv {
  const path = [join(folder, 'node_modules/.bin'), resolve('node_modules/.bin'), process.env['PATH']];
  return {
    ...process.env,
    PATH: path.join(delimiter),
    NODE_OPTIONS: '--conditions=@varve/source',
    NO_COLOR: '1',
  };
}

function originOf({ filePath, line }: Fence): string {
  return `${filePath}:${line}`;
}

function slug(filePath: string): string {
  return filePath.replaceAll(/[^\w]+/g, '-').replace(/^-/, '');
}
