import { expect, test } from 'vitest';
import { fencesOf, onlyComments } from '../scripts/fence.ts';

const T = '```';

test('a fence is found with its line and its word', () => {
  const page = `# Title\n\n${T}ts\nconst a = 1;\n${T}\n\n${T}\nbare\n${T}\n`;
  expect(fencesOf('a.md', page)).toEqual([
    { filePath: 'a.md', line: 3, language: 'ts', body: 'const a = 1;\n' },
    { filePath: 'a.md', line: 7, language: '', body: 'bare\n' },
  ]);
});

test('a fence in a list loses its indentation and keeps that of its lines', () => {
  const page = `- item\n  ${T}sh\n  if true; then\n    varve --help\n  fi\n  ${T}\n`;
  expect(fencesOf('a.md', page).map(({ body }) => body)).toEqual(['if true; then\n  varve --help\nfi\n']);
});

test('a fence within a longer one is not run', () => {
  const page = `${T}\`text\n${T}sh\nexit 1\n${T}\n${T}\`\n`;
  expect(fencesOf('a.md', page).map(({ language }) => language)).toEqual(['text']);
});

test('in a source only the text of comments counts, at its own line', () => {
  const source = `const a = 1;\n/**\n * Says.\n * ${T}ts\n *   b();\n * ${T}\n */\nexport const b = 2;\n`;
  expect(fencesOf('a.ts', onlyComments(source))).toEqual([
    { filePath: 'a.ts', line: 4, language: 'ts', body: '  b();\n' },
  ]);
});
