import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { isVarveError } from '../../src/base/index.ts';
import { readObject, type ObjectReference, type ObjectStore } from '../../src/store/index.ts';

/** What a driver's suite is given; `objects` works from `beforeAll` on, and every space is a new one. */
export interface ObjectsUnderTest {
  readonly objects: (space?: string) => Promise<ObjectStore>;
  /** Puts other bytes in the place of an object, behind the store's back. */
  readonly spoil: (objects: ObjectStore, digest: string, content: Uint8Array) => Promise<void>;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export const digestOf = (content: Uint8Array): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** The code that a promise is refused with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
}

export async function listed(objects: ObjectStore): Promise<readonly string[]> {
  const digests: string[] = [];
  for await (const { digest } of objects.list()) digests.push(digest);
  return digests.toSorted();
}

async function* inPieces(content: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.slice(at, at + pieceBytes);
}

const ABSENT: ObjectReference = { digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 3 };

/** What every object store promises. */
export function objectConformance(given: ObjectsUnderTest): void {
  it('gives back what was put, under the digest of its content', async () => {
    const objects = await given.objects();
    const content = randomBytes(100_000);
    const reference = await objects.put(content);
    expect(reference).toEqual({ digest: digestOf(content), sizeBytes: 100_000 });
    expect(Buffer.compare(await readObject(objects, reference), content)).toBe(0);
    expect(await objects.find(reference.digest)).toMatchObject(reference);
  });

  it('takes a stream, an empty one too, and knows the same content again', async () => {
    const objects = await given.objects();
    const content = randomBytes(70_001);
    const whole = await objects.put(content);
    expect(await objects.put(inPieces(content, 1_000))).toEqual(whole);
    const empty = await objects.put(inPieces(new Uint8Array(), 10));
    expect(empty.sizeBytes).toBe(0);
    expect(await readObject(objects, empty)).toHaveLength(0);
    expect(await listed(objects)).toEqual([whole.digest, empty.digest].toSorted());
  });

  it('takes and gives a large stream without holding it in memory', async () => {
    const objects = await given.objects();
    const piece = randomBytes(1024 * 1024);
    const count = 100;
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < count; at += 1) {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        yield piece;
      }
    }
    const reference = await objects.put(large());
    expect(reference.sizeBytes).toBe(count * piece.length);
    let sizeBytes = 0;
    for await (const part of objects.read(reference)) {
      sizeBytes += part.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(sizeBytes).toBe(reference.sizeBytes);
    expect(most).toBeLessThan(80 * 1024 * 1024);
  });

  it('leaves nothing where the content breaks off', async () => {
    const objects = await given.objects();
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes('half of');
      throw new TypeError('the instrument went away');
    }
    await expect(objects.put(broken())).rejects.toThrow(TypeError);
    expect(await listed(objects)).toEqual([]);
  });

  it('lets two writers put the same content at once', async () => {
    const objects = await given.objects();
    const content = randomBytes(300_000);
    const references = await Promise.all(
      Array.from({ length: 8 }, () => objects.put(inPieces(content, 5_000))),
    );
    expect(new Set(references.map(({ digest }) => digest)).size).toBe(1);
    expect(await listed(objects)).toHaveLength(1);
    expect(Buffer.compare(await readObject(objects, references[0] ?? ABSENT), content)).toBe(0);
  });

  it('says that an object is missing', async () => {
    const objects = await given.objects();
    expect(await objects.find(ABSENT.digest)).toBeUndefined();
    expect(await codeOf(readObject(objects, ABSENT))).toBe('object_missing');
    await objects.remove(ABSENT.digest);
  });

  it.each([
    ['is cut short', bytes('the who')],
    ['goes on', bytes('the whole truth and more')],
    ['is something else of the same length', bytes('the other truth')],
    ['is empty', new Uint8Array()],
  ])('says that an object is damaged when it %s, and takes it back whole', async (_, other) => {
    const objects = await given.objects();
    const content = bytes('the whole truth');
    const reference = await objects.put(content);
    await given.spoil(objects, reference.digest, other);
    expect(await codeOf(readObject(objects, reference))).toBe('object_damaged');
  });

  it('refuses a reference whose size is another', async () => {
    const objects = await given.objects();
    const { digest, sizeBytes } = await objects.put(bytes('nine more'));
    for (const wrong of [0, sizeBytes - 1, sizeBytes + 1, 1e15]) {
      expect(await codeOf(readObject(objects, { digest, sizeBytes: wrong }))).toBe('object_damaged');
    }
  });

  it.each([
    '../../../etc/passwd',
    'sha256:../../../../../../etc/passwd',
    `sha256:${'0'.repeat(63)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'0'.repeat(64)}\n`,
    `sha256:${'0'.repeat(62)}/.`,
    `sha512:${'0'.repeat(64)}`,
    '',
  ])('never looks for %j', async (digest) => {
    const objects = await given.objects();
    expect(await codeOf(readObject(objects, { digest, sizeBytes: 1 }))).toBe('object_missing');
    expect(await codeOf(objects.find(digest))).toBe('object_missing');
    expect(await codeOf(objects.remove(digest))).toBe('object_missing');
  });

  it('keeps spaces apart', async () => {
    const [one, other] = [await given.objects(), await given.objects()];
    const reference = await one.put(bytes('mine'));
    expect(await codeOf(readObject(other, reference))).toBe('object_missing');
    await other.remove(reference.digest);
    expect(await listed(other)).toEqual([]);
    expect(await listed(one)).toEqual([reference.digest]);
  });

  it('removes one object and no other', async () => {
    const objects = await given.objects();
    const keep = await objects.put(bytes('keep'));
    const go = await objects.put(bytes('go'));
    await objects.remove(go.digest);
    expect(await listed(objects)).toEqual([keep.digest]);
    expect(await objects.put(bytes('go'))).toEqual(go);
    expect(await listed(objects)).toHaveLength(2);
  });

  it('sweeps nothing that is whole', async () => {
    const objects = await given.objects();
    const reference = await objects.put(bytes('whole'));
    expect(await objects.sweep(new Date(Date.now() + 60_000).toISOString())).toBe(0);
    expect(await listed(objects)).toEqual([reference.digest]);
  });

  it('can be opened again from its settings alone, which are plain data', async () => {
    const objects = await given.objects();
    const reference = await objects.put(bytes('for another thread'));
    const settings = JSON.parse(JSON.stringify(objects.settings)) as ObjectStore['settings'];
    const { openObjects } = (await import(settings.module)) as {
      openObjects: (of: ObjectStore['settings']) => Promise<ObjectStore>;
    };
    await using again = await openObjects(settings);
    expect(new TextDecoder().decode(await readObject(again, reference))).toBe('for another thread');
  });
}
