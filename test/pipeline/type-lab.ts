import ts from 'typescript';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FILE = path.join(ROOT, 'test/pipeline/type-fixture.ts');

/** What every fixture begins with: a mouse, a policy, sessions with parts of parts. */
export const HEAD = `import { part, pipeline, t } from 'varve/pipeline';
const lab = pipeline('lab');
const Mouse = lab.manual('mouse', {
  key: { mouse: t.bigint() },
  columns: { weight: t.double(), strain: t.text().nullable() },
});
const Policy = lab.manual('policy', { key: { policy: t.integer() }, columns: { bound: t.double() } });
const Session = lab.computed('session', {
  parents: [Mouse],
  key: { session: t.integer() },
  columns: { rig: t.text() },
  references: { policy: Policy.optional() },
  reads: { mouse: Mouse },
  parts: {
    probe: part({ key: { probe: t.integer() }, columns: { depth: t.double() } }),
    unit: part({ within: 'probe', key: { unit: t.integer() }, columns: { rate: t.double() } }),
  },
  make: ({ mouse }) => [{ session: 1, rig: mouse.strain ?? 'a', policy: null }],
});
`;

/** A language service over one file that is written again for each question, as an editor holds it. */
export interface Editor {
  /** Each error with its line in the fixture: its first sentence and its innermost reason. */
  readonly errors: (text: string) => readonly string[];
  /** What is offered where the fixture has `|`, in order; words of the language are left out. */
  readonly completions: (text: string) => readonly string[];
}

/** Opens the service; the library and the product's own types are read once. */
export function openEditor(): Editor {
  let text = HEAD;
  let version = 0;
  const service = ts.createLanguageService(host(() => ({ text, version: String(version) })));
  const write = (next: string): void => {
    text = HEAD + next;
    version += 1;
  };
  return {
    errors: (fixture) => {
      write(fixture);
      const found = [...service.getSyntacticDiagnostics(FILE), ...service.getSemanticDiagnostics(FILE)];
      return found.map((diagnostic) => errorText(text, diagnostic));
    },
    completions: (fixture) => {
      const at = fixture.indexOf('|');
      write(fixture.slice(0, at) + fixture.slice(at + 1));
      const found = service.getCompletionsAtPosition(FILE, HEAD.length + at, {
        includeInsertTextCompletions: false,
      });
      return (found?.entries ?? [])
        .filter(({ kind }) => kind !== ts.ScriptElementKind.keyword)
        .map(({ name }) => name);
    },
  };
}

function errorText(text: string, { start = 0, messageText }: ts.Diagnostic): string {
  const line = text.slice(0, start).split('\n').length - HEAD.split('\n').length + 1;
  return `${String(line)}: ${sentences(messageText)}`;
}

/** The first sentence, and the innermost reason where there is one. */
function sentences(message: string | ts.DiagnosticMessageChain): string {
  const lines = ts.flattenDiagnosticMessageText(message, '\n').split('\n');
  const [first = ''] = lines;
  const last = lines.at(-1)?.trim() ?? '';
  return lines.length === 1 ? first : `${first} ... ${last}`;
}

function host(fixture: () => { readonly text: string; readonly version: string }): ts.LanguageServiceHost {
  const config = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(
    { ...(config.config as object), files: [FILE], include: [] },
    ts.sys,
    ROOT,
  );
  return {
    getCompilationSettings: () => ({
      ...options,
      noUnusedLocals: false,
      noUnusedParameters: false,
      isolatedDeclarations: false,
      declaration: false,
    }),
    getScriptFileNames: () => [FILE],
    getScriptVersion: (file) => (file === FILE ? fixture().version : '1'),
    getScriptSnapshot: (file) => {
      const content = file === FILE ? fixture().text : ts.sys.readFile(file);
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
    },
    getCurrentDirectory: () => ROOT,
    getDefaultLibFileName: (each) => ts.getDefaultLibFilePath(each),
    fileExists: (file) => file === FILE || ts.sys.fileExists(file),
    readFile: (file) => (file === FILE ? fixture().text : ts.sys.readFile(file)),
    readDirectory: ts.sys.readDirectory.bind(ts.sys),
    directoryExists: ts.sys.directoryExists.bind(ts.sys),
    getDirectories: ts.sys.getDirectories.bind(ts.sys),
  };
}
