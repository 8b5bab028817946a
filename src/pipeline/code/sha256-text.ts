import { createHash } from 'node:crypto';

/** SHA-256 of bytes or of a text's UTF-8 bytes, as varve writes digests; Node's own, since whole folders are read. */
export function sha256Text(content: string | Uint8Array): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
