/** Digests on the way in and on the way out: the one place where a name and its content are held together. */
import { createHash } from 'node:crypto';
import { VarveError } from '../../base/index.ts';
import type { ObjectContent, ObjectReference } from '../object-store.ts';

/** Content as pieces, whichever way it came. */
export async function* piecesOf(content: ObjectContent): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) {
    yield content;
    return;
  }
  for await (const piece of content) {
    if (!(piece instanceof Uint8Array)) throw notBytes();
    yield piece;
  }
}

function notBytes(): VarveError {
  return new VarveError('value_invalid', {
    detail: { reason: 'the content of an object is made of Uint8Arrays' },
    hint: 'Encode text with `new TextEncoder().encode(text)` before you put it.',
  });
}

/** Pieces that are measured while they pass; `reference` is right once the last one has passed. */
export interface Measured {
  readonly pieces: AsyncGenerator<Uint8Array, void>;
  readonly reference: () => ObjectReference;
  /** Lets go of content that is not going to be read to its end. */
  readonly close: () => Promise<void>;
}

/** Measures content while somebody else writes it. */
export function measure(content: ObjectContent): Measured {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* pieces(): AsyncGenerator<Uint8Array, void> {
    for await (const piece of piecesOf(content)) {
      hash.update(piece);
      sizeBytes += piece.length;
      yield piece;
    }
  }
  const passing = pieces();
  return {
    pieces: begun(passing),
    close: async () => void (await passing.return(undefined)),
    reference: () => ({ digest: `sha256:${hash.digest('hex')}`, sizeBytes }),
  };
}

/**
 * The same pieces, the first of them asked for now. A stream that fails while nobody listens ends the process, and its
 * reader has folders to make before it comes to the first piece.
 */
function begun(pieces: AsyncGenerator<Uint8Array, void>): AsyncGenerator<Uint8Array, void> {
  const first = pieces.next();
  first.catch(() => undefined);
  async function* rest(): AsyncGenerator<Uint8Array, void> {
    const { done, value } = await first;
    if (done === true) return;
    yield value;
    yield* pieces;
  }
  return rest();
}

/** Lets pieces pass and throws `object_damaged` after the last one where they are not what the reference says. */
export async function* verified(
  pieces: AsyncIterable<Uint8Array>,
  { digest, sizeBytes }: ObjectReference,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let seenBytes = 0;
  for await (const piece of pieces) {
    seenBytes += piece.length;
    // More than was meant is wrong already: an endless answer must not be read to its end.
    if (seenBytes > sizeBytes) throw damaged(digest, 'it is longer than its reference says');
    hash.update(piece);
    yield piece;
  }
  if (seenBytes < sizeBytes) throw damaged(digest, 'it is shorter than its reference says');
  if (`sha256:${hash.digest('hex')}` !== digest) throw damaged(digest, 'its content has another digest');
}

function damaged(digest: string, reason: string): VarveError {
  return new VarveError('object_damaged', {
    detail: { digest, reason },
    hint: 'Run `varve objects verify` for all that are damaged. Bring the object back from a backup, or put the same content again: that replaces it.',
  });
}

/** What `read` throws where nothing is under a digest. */
export function missing(digest: string, location: string): VarveError {
  return new VarveError('object_missing', {
    detail: { digest, location },
    hint: 'Check that `objects` in the configuration names the place where it was put, or bring it back from a backup; then repeat.',
  });
}
