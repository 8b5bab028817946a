import { describe, expect, it } from 'vitest';
import { capturedIo } from '../../test/cli/captured-io.ts';
import { createProgress, progressText } from './progress.ts';

const isTerminal = { stdin: true, stdout: true, stderr: true };

describe('progress', () => {
  it('says nothing in the first second', () => {
    const captured = capturedIo({ isTerminal });
    const progress = createProgress(captured.io, 'populate', 10);
    captured.passMs(900);
    progress.advance(5);
    progress.end();
    expect(captured.stderr()).toBe('');
  });

  it('redraws one line on a terminal and takes it away', () => {
    const captured = capturedIo({ isTerminal });
    const progress = createProgress(captured.io, 'populate', 10);
    captured.passMs(2_000);
    progress.advance(5);
    progress.end();
    expect(captured.stderr()).toBe(
      '\rpopulate  [############............]  5/10  2.5/s  2 s left\u001B[K\r\u001B[K',
    );
  });

  it('writes plain lines ten seconds apart elsewhere', () => {
    const captured = capturedIo();
    const progress = createProgress(captured.io, 'populate');
    for (let second = 0; second < 25; second += 1) {
      captured.passMs(1_000);
      progress.advance();
    }
    expect(captured.stderr()).toBe('populate  10  1/s\npopulate  20  1/s\n');
  });

  it('says hours where it takes hours', () => {
    expect(progressText('copy', { done: 1, total: 7_201 }, 1_000)).toMatch(/2 h 0 min left$/u);
  });
});
