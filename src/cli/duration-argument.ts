import { InvalidArgumentError } from 'commander';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of a flag such as `90s`, `30m`, `2h`, `1d`. */
export function readDuration(text: string): number {
  const [, count = '', unit = ''] = /^(\d+)([smhd])$/u.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? 0);
  if (seconds >= 1 && Number.isSafeInteger(seconds)) return seconds;
  throw new InvalidArgumentError('Not a time such as 90s, 30m, 2h or 1d.');
}
