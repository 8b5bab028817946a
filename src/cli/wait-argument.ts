import { Option } from 'commander';
import type { RunnerOptions } from '../migration/index.ts';
import { readDuration } from './duration-argument.ts';
import { readCount } from './number-argument.ts';

/** How long a run waits for others. */
export interface WaitFlags {
  /** Seconds. */
  readonly deadline?: number;
  /** Milliseconds. */
  readonly lockTimeout?: number;
}

/** `--deadline` and `--lock-timeout`, of `varve apply` and `varve rollback`. */
export function waitOptions(): readonly Option[] {
  return [
    new Option(
      '--deadline <time>',
      'give up and take the work back when its locks are not to be had for this long, such as 90s, 30m; default 5m',
    ).argParser(readDuration),
    new Option(
      '--lock-timeout <ms>',
      'how long one try waits for one lock; whoever asks for the table meanwhile queues behind it; default 100',
    ).argParser(readCount),
  ];
}

/** The same for the lifecycle. */
export function waitsOf({
  deadline,
  lockTimeout,
}: WaitFlags): Pick<RunnerOptions, 'deadlineMs' | 'lockTimeoutMs'> {
  return {
    ...(deadline === undefined ? {} : { deadlineMs: deadline * 1000 }),
    ...(lockTimeout === undefined ? {} : { lockTimeoutMs: lockTimeout }),
  };
}
