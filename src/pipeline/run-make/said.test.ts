import { describe, expect, it } from 'vitest';
import { Said } from './said.ts';

describe('what a process prints', () => {
  it('is forwarded line by line, however it arrives', () => {
    const lines: string[] = [];
    const said = new Said((line) => lines.push(line));
    for (const text of ['one\ntw', 'o\n', 'three']) said.add(text);
    said.end();
    expect(lines).toEqual(['one', 'two', 'three']);
  });

  it('is dropped when it is too much, and said to be; the line of an error is kept', () => {
    const lines: string[] = [];
    const said = new Said((line) => lines.push(line));
    for (let part = 0; part < 100; part += 1) said.add(`${'x'.repeat(9_999)}\n`);
    said.add('TypeError: no\n    at somewhere\nNode.js v24\n');
    expect(lines).toHaveLength(7);
    expect(lines.at(-1)).toBe('more is printed than is shown');
    expect(said.telling).toBe('TypeError: no');
  });

  it('without an end of line is bounded too', () => {
    const lines: string[] = [];
    const said = new Said((line) => lines.push(line));
    for (let part = 0; part < 100; part += 1) said.add('x'.repeat(10_000));
    said.end();
    expect(lines).toEqual(['more is printed than is shown']);
  });
});
