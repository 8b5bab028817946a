import { isoTime } from './clock.ts';

/** Randomness as an argument: fills a new array of that many bytes. */
export type RandomBytes = (count: number) => Uint8Array;

/** The platform's cryptographic randomness, for the composition roots. */
export const systemRandomBytes: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** Lower-case hex of bytes. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * A run's id: ordered by time as text, readable, unique by 32 random bits within its second and subject.
 *
 * Shape: `varve://run/2026-05-12T09:14:07Z.migration.PG-MIG-2026-05-12-01.9f31c2aa`
 */
export function runId(parts: {
  readonly startedAtMs: number;
  readonly kind: string;
  readonly subject: string;
  readonly randomBytes: RandomBytes;
}): string {
  const second = `${isoTime(parts.startedAtMs).slice(0, 19)}Z`;
  return `varve://run/${second}.${parts.kind}.${parts.subject}.${hex(parts.randomBytes(4))}`;
}
