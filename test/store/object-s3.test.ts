import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ObjectStore, S3Location } from '../../src/store/index.ts';
import { objectSettings, openObjects } from '../../src/store/object/index.ts';
import { s3Objects } from '../../src/store/object/s3.ts';
import { s3Server, type S3Server } from '../harness/s3-server.ts';
import { bytes, codeOf, listed, objectConformance } from './object-conformance.ts';

let server: S3Server;
let location: S3Location;
beforeAll(async () => {
  server = await s3Server();
  location = server.location;
});
afterAll(() => server[Symbol.asyncDispose]());

process.env['VARVE_TEST_S3_WRONG'] = 'not-the-secret-7f3a';

const openBucket = (changes: Partial<S3Location> = {}, space: string = randomUUID()): Promise<ObjectStore> =>
  openObjects(objectSettings({ s3: { ...location, ...changes } as S3Location }, space));

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('objects on an S3 server', () => {
  objectConformance({
    objects: (space) => openBucket({}, space),
    spoil: async ({ settings }, digest, content) => {
      const { endpoint, region, bucket } = location;
      const credentials = {
        accessKeyId: process.env['VARVE_TEST_S3_KEY'] ?? '',
        secretAccessKey: process.env['VARVE_TEST_S3_SECRET'] ?? '',
      };
      const s3 = new S3Client({ endpoint: endpoint ?? '', region, credentials, forcePathStyle: true });
      const Key = `project/a/${settings.space}/sha256/${digest.slice('sha256:'.length)}`;
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: content }));
      s3.destroy();
    },
  });

  it('lists more objects than one answer holds', async () => {
    const settings = objectSettings({ s3: location }, randomUUID());
    await using objects = await s3Objects(location, settings, 10);
    const contents = Array.from({ length: 25 }, (_, at) => bytes(`object ${String(at)}`));
    const references = await Promise.all(contents.map((content) => objects.put(content)));
    expect(await listed(objects)).toEqual(references.map(({ digest }) => digest).toSorted());
  });

  it('says that a bucket is not there', async () => {
    const objects = await openBucket({ bucket: 'nobody' });
    expect(await codeOf(objects.put(bytes('x')))).toBe('objects_unreachable');
    expect(await codeOf(listed(objects))).toBe('objects_unreachable');
  });

  it('says that nobody answers, and does not wait for ever', async () => {
    const objects = await openBucket({ endpoint: 'http://127.0.0.1:1' });
    expect(await codeOf(objects.put(bytes('x')))).toBe('objects_unreachable');
  });

  it('is refused with credentials of nobody, and shows none of them', async () => {
    const wrong = 'VARVE_TEST_S3_WRONG';
    await expectDenied(await openBucket({ credentialsFrom: [wrong, wrong] }));
    // The small server knows its users by name alone.
    if (server.checksSignatures) {
      await expectDenied(await openBucket({ credentialsFrom: ['VARVE_TEST_S3_KEY', wrong] }));
    }
  });

  async function expectDenied(objects: ObjectStore): Promise<void> {
    const failures = [
      await failureOf(objects.put(bytes('x'))),
      await failureOf(listed(objects)),
      await failureOf(objects.find(`sha256:${'0'.repeat(64)}`)),
    ];
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'objects_denied' });
      const shown = inspect(failure, { depth: 20, showHidden: true });
      expect(shown).not.toContain('not-the-secret-7f3a');
      expect(shown).not.toMatch(/Signature=|Credential=/u);
    }
  }

  it('names the environment variable that is not set', async () => {
    const opening = openBucket({ credentialsFrom: ['VARVE_TEST_S3_KEY', 'VARVE_TEST_S3_UNSET'] });
    expect(await failureOf(opening)).toMatchObject({
      code: 'objects_unavailable',
      detail: { reason: 'the environment variable VARVE_TEST_S3_UNSET is not set' },
    });
  });
});
