import { countText } from './output.ts';
import type { Io } from './io.ts';

/** A running task as its progress shows it; a command tells it what is done and never draws. */
export interface Progress {
  /** So much more is done; so many more failed, which are not among those done. */
  readonly advance: (count?: number, failed?: number) => void;
  /** The number of things to do, when it becomes known. */
  readonly expect: (total: number) => void;
  /** Takes the bar away. */
  readonly end: () => void;
}

const SHOW_AFTER_MS = 1_000;
const REDRAW_MS = 100;
const PLAIN_LINE_MS = 10_000;
const BAR_WIDTH = 24;

/** Progress that shows nothing: for `--quiet` and `--json`. */
export const silentProgress: Progress = Object.freeze({
  advance: () => undefined,
  expect: () => undefined,
  end: () => undefined,
});

/**
 * Progress on standard error with rate and time left, once a task has run for a second.
 *
 * Shape: `populate  [############............]  50,000/100,000  25,000/s  2 s left`
 * On a terminal one line is redrawn ten times a second at most; elsewhere a plain line is written every ten seconds.
 */
export function createProgress(io: Io, label: string, total?: number): Progress {
  const startedMs = io.monotonicMs();
  let done = 0;
  let failures = 0;
  let expected = total;
  let drawnMs = startedMs;
  let shown = false;

  const draw = (): void => {
    const nowMs = io.monotonicMs();
    const terminal = io.isTerminal.stderr;
    const waitMs = terminal ? REDRAW_MS : PLAIN_LINE_MS;
    if (nowMs - startedMs < SHOW_AFTER_MS || nowMs - drawnMs < (shown || !terminal ? waitMs : 0)) return;
    const line = progressText(label, { done, failed: failures, total: expected }, nowMs - startedMs);
    io.stderr(terminal ? `\r${line.slice(0, io.columns - 1)}\u001B[K` : `${line}\n`);
    drawnMs = nowMs;
    shown = true;
  };

  return {
    advance: (count = 1, failed = 0) => {
      done += count;
      failures += failed;
      draw();
    },
    expect: (count) => {
      expected = count;
      draw();
    },
    end: () => {
      if (shown && io.isTerminal.stderr) io.stderr('\r\u001B[K');
    },
  };
}

/** How far a task is. */
export interface ProgressCounts {
  readonly done: number;
  readonly failed?: number;
  readonly total: number | undefined;
}

/** One line of progress. */
export function progressText(label: string, counts: ProgressCounts, elapsedMs: number): string {
  const { done, failed = 0, total } = counts;
  const settled = done + failed;
  const rate = elapsedMs === 0 ? 0 : (settled * 1_000) / elapsedMs;
  const speed = `${countText(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate))}/s`;
  const failures = failed === 0 ? '' : `  ${countText(failed)} failed`;
  if (total === undefined || total === 0) return `${label}  ${countText(settled)}  ${speed}${failures}`;
  const filled = Math.round((Math.min(settled, total) / total) * BAR_WIDTH);
  const bar = `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`;
  const left = rate === 0 ? '' : `  ${durationText(((total - settled) / rate) * 1_000)} left`;
  return `${label}  ${bar}  ${countText(settled)}/${countText(total)}  ${speed}${left}${failures}`;
}

function durationText(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
