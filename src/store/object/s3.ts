/**
 * Objects in a bucket of a server that speaks S3, through Amazon's own client.
 *
 * | | |
 * |---|---|
 * | key | `<prefix>/<space>/sha256/<64 digits>` |
 * | up to 16 MiB | one request from memory; the server is given the digest and refuses other bytes |
 * | more | to a temporary file first, since the key is the digest; then in parts, one in memory at a time |
 *
 * Content that is there already is not sent again while it is young: its time is what keeps it from being collected, and
 * an hour is little against the days of that.
 *
 * What the client throws may hold the request with its signature, so nothing of it is kept but its name and status.
 * Source: docs/decisions/0012-objects.md.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isVarveError, VarveError, type JsonObject } from '../../base/index.ts';
import {
  objectHex,
  type ObjectContent,
  type ObjectReference,
  type ObjectSettings,
  type ObjectStore,
  type S3Location,
  type StoredObject,
} from '../object-store.ts';
import { measure, missing, verified, type Measured } from './digest.ts';

type Client = typeof import('@aws-sdk/client-s3');

/** A store of objects in a bucket, which must be there. `pageSize` objects come in one answer of a listing; the server may give fewer. */
export async function s3Objects(
  location: S3Location,
  settings: ObjectSettings,
  pageSize = 1_000,
): Promise<ObjectStore> {
  const client = await loadClient();
  const bucket: Bucket = {
    client,
    s3: new client.S3Client({
      region: location.region,
      ...(location.endpoint === null ? {} : { endpoint: location.endpoint, forcePathStyle: true }),
      ...credentialsOf(location),
      // Other makers' servers do not all know the newer checksums; the digest is sent where it says more.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    }),
    name: location.bucket,
    folder: [location.prefix, settings.space, 'sha256'].filter((part) => part !== '').join('/'),
    shown: `s3:${location.endpoint ?? ''}/${location.bucket}`.replace('s3:/', 's3://'),
  };
  return {
    location: bucket.shown,
    settings,
    put: (content) => put(bucket, content),
    read: (reference) => read(bucket, reference),
    find: (digest) => find(bucket, digest),
    list: () => list(bucket, pageSize),
    remove: (digest) => remove(bucket, digest),
    sweep: (before) => sweep(bucket, before),
    [Symbol.asyncDispose]: async () => bucket.s3.destroy(),
  };
}

interface Bucket {
  readonly client: Client;
  readonly s3: S3Client;
  readonly name: string;
  readonly folder: string;
  readonly shown: string;
}

async function loadClient(): Promise<Client> {
  try {
    return await import('@aws-sdk/client-s3');
  } catch (cause) {
    throw new VarveError('objects_unavailable', {
      detail: { reason: 'the package @aws-sdk/client-s3 is not installed' },
      hint: 'Run `npm install @aws-sdk/client-s3` in your project, or keep objects in a folder.',
      cause,
    });
  }
}

function credentialsOf({ credentialsFrom }: S3Location) {
  if (credentialsFrom === null) return {};
  const [accessKeyId, secretAccessKey, sessionToken] = credentialsFrom.map(readSecret);
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return {
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  };
}

function readSecret(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== '') return value;
  throw new VarveError('objects_unavailable', {
    detail: { reason: `the environment variable ${name} is not set` },
    hint: `Set ${name} to the credential that \`objects.s3.credentialsFrom\` says it holds.`,
  });
}

function keyOf(bucket: Bucket, digest: string): string {
  return `${bucket.folder}/${objectHex(digest)}`;
}

const MIB = 1024 * 1024;
const SINGLE_BYTES = 16 * MIB;
/** What S3 allows of one upload. */
const MAX_PARTS = 10_000;
const YOUNG_MS = 60 * 60 * 1000;

async function put(bucket: Bucket, content: ObjectContent): Promise<ObjectReference> {
  const measured = measure(content);
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  for (;;) {
    const { done, value } = await measured.pieces.next();
    if (done === true) break;
    held.push(value);
    heldBytes += value.length;
    if (heldBytes > SINGLE_BYTES) return putLarge(bucket, held, measured);
  }
  const reference = measured.reference();
  await unlessYoung(bucket, reference, () => putSingle(bucket, reference, Buffer.concat(held)));
  return reference;
}

async function unlessYoung(
  bucket: Bucket,
  { digest, sizeBytes }: ObjectReference,
  send: () => Promise<void>,
): Promise<void> {
  const found = await find(bucket, digest);
  const isYoung = found !== undefined && Date.now() - Date.parse(found.putAt) < YOUNG_MS;
  if (!isYoung || found.sizeBytes !== sizeBytes) await send();
}

async function putSingle(bucket: Bucket, { digest }: ObjectReference, body: Buffer): Promise<void> {
  await inBucket(bucket, () =>
    bucket.s3.send(
      new bucket.client.PutObjectCommand({
        Bucket: bucket.name,
        Key: keyOf(bucket, digest),
        Body: body,
        ContentLength: body.length,
        ChecksumSHA256: Buffer.from(objectHex(digest), 'hex').toString('base64'),
      }),
    ),
  );
}

async function putLarge(
  bucket: Bucket,
  held: readonly Uint8Array[],
  measured: Measured,
): Promise<ObjectReference> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-object-'));
  try {
    await using file = await open(join(folder, 'content'), 'wx+');
    for (const piece of held) await appendTo(file, piece);
    for await (const piece of measured.pieces) await appendTo(file, piece);
    const reference = measured.reference();
    await unlessYoung(bucket, reference, () => putParts(bucket, reference, file));
    return reference;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function appendTo(file: FileHandle, piece: Uint8Array): Promise<void> {
  try {
    await file.appendFile(piece);
  } catch (error) {
    const cause = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new VarveError('objects_full', {
      detail: { location: tmpdir(), cause },
      hint: 'Large objects pass through the folder for temporary files: make room there, or set TMPDIR to one with room.',
      cause: error,
    });
  }
}

async function putParts(
  bucket: Bucket,
  { digest, sizeBytes }: ObjectReference,
  file: FileHandle,
): Promise<void> {
  const { client, s3 } = bucket;
  const target = { Bucket: bucket.name, Key: keyOf(bucket, digest) };
  const { UploadId } = await inBucket(bucket, () => s3.send(new client.CreateMultipartUploadCommand(target)));
  const partBytes = Math.max(SINGLE_BYTES, Math.ceil(sizeBytes / MAX_PARTS));
  const parts: { readonly PartNumber: number; readonly ETag: string | undefined }[] = [];
  try {
    for (let start = 0; start < sizeBytes; start += partBytes) {
      const body = Buffer.alloc(Math.min(partBytes, sizeBytes - start));
      await file.read(body, 0, body.length, start);
      const PartNumber = parts.length + 1;
      const { ETag } = await inBucket(bucket, () =>
        s3.send(new client.UploadPartCommand({ ...target, UploadId, PartNumber, Body: body })),
      );
      parts.push({ PartNumber, ETag });
    }
    await inBucket(bucket, () =>
      s3.send(
        new client.CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } }),
      ),
    );
  } catch (error) {
    // Whether or not this succeeds, the first failure is the one to tell; `sweep` takes what is left.
    await s3.send(new client.AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => undefined);
    throw error;
  }
}

async function* read(bucket: Bucket, reference: ObjectReference): AsyncGenerator<Uint8Array> {
  const { digest } = reference;
  const Key = keyOf(bucket, digest);
  try {
    const { Body } = await bucket.s3.send(new bucket.client.GetObjectCommand({ Bucket: bucket.name, Key }));
    if (Body === undefined) throw missing(digest, bucket.shown);
    yield* verified(Body as unknown as AsyncIterable<Uint8Array>, reference);
  } catch (error) {
    throw nameOf(error) === 'NoSuchKey' ? missing(digest, bucket.shown) : bucketFault(bucket, error);
  }
}

async function find(bucket: Bucket, digest: string): Promise<StoredObject | undefined> {
  const Key = keyOf(bucket, digest);
  try {
    const head = await bucket.s3.send(new bucket.client.HeadObjectCommand({ Bucket: bucket.name, Key }));
    return stored(digest, head.ContentLength, head.LastModified);
  } catch (error) {
    if (statusOf(error) === 404) return findListed(bucket, digest);
    throw bucketFault(bucket, error);
  }
}

/**
 * An answer to HEAD has no body, so 404 may also mean that there is no such bucket, or on some servers no such user. A
 * listing says which; what is really absent is asked for seldom.
 */
async function findListed(bucket: Bucket, digest: string): Promise<StoredObject | undefined> {
  const Key = keyOf(bucket, digest);
  const { Contents } = await inBucket(bucket, () =>
    bucket.s3.send(new bucket.client.ListObjectsV2Command({ Bucket: bucket.name, Prefix: Key, MaxKeys: 1 })),
  );
  const found = Contents?.find((each) => each.Key === Key);
  return found === undefined ? undefined : stored(digest, found.Size, found.LastModified);
}

/** A store that tells no time is taken to have put it just now: what may be young is kept. */
function stored(digest: string, sizeBytes: number | undefined, putAt: Date | undefined): StoredObject {
  return { digest, sizeBytes: sizeBytes ?? 0, putAt: (putAt ?? new Date()).toISOString() };
}

async function* list(bucket: Bucket, pageSize: number): AsyncGenerator<StoredObject> {
  let token: string | undefined;
  do {
    const page = await inBucket(bucket, () =>
      bucket.s3.send(
        new bucket.client.ListObjectsV2Command({
          Bucket: bucket.name,
          Prefix: `${bucket.folder}/`,
          MaxKeys: pageSize,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
      ),
    );
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      const hex = Key?.slice(bucket.folder.length + 1) ?? '';
      if (/^[0-9a-f]{64}$/u.test(hex)) yield stored(`sha256:${hex}`, Size, LastModified);
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

async function remove(bucket: Bucket, digest: string): Promise<void> {
  const Key = keyOf(bucket, digest);
  await inBucket(bucket, () =>
    bucket.s3.send(new bucket.client.DeleteObjectCommand({ Bucket: bucket.name, Key })),
  );
}

/** Uploads in parts that were never completed; a server that cannot list them cleans up by itself, or by its own rules. */
async function sweep(bucket: Bucket, before: string): Promise<number> {
  const { client, s3 } = bucket;
  const Prefix = `${bucket.folder}/`;
  let uploads;
  try {
    ({ Uploads: uploads } = await s3.send(
      new client.ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix }),
    ));
  } catch (error) {
    if ([400, 405, 501].includes(statusOf(error))) return 0;
    throw bucketFault(bucket, error);
  }
  let swept = 0;
  for (const { Key, UploadId, Initiated } of uploads ?? []) {
    if (Initiated === undefined || Initiated.toISOString() >= before) continue;
    await inBucket(bucket, () =>
      s3.send(new client.AbortMultipartUploadCommand({ Bucket: bucket.name, Key, UploadId })),
    );
    swept += 1;
  }
  return swept;
}

async function inBucket<T>(bucket: Bucket, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw bucketFault(bucket, error);
  }
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return 0;
  return (error.$metadata as { readonly httpStatusCode?: number }).httpStatusCode ?? 0;
}

/** Not every server says these with status 403. */
const DENIED: readonly string[] = [
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'CredentialsProviderError',
  'XAdminUserNotFound',
];

/** What the server or the way to it said, by name and status. */
function bucketFault(bucket: Bucket, error: unknown): unknown {
  if (isVarveError(error)) return error;
  const status = statusOf(error);
  const name = nameOf(error);
  const detail: JsonObject = { location: bucket.shown, cause: name, ...(status === 0 ? {} : { status }) };
  if (status === 401 || status === 403 || DENIED.includes(name)) {
    return new VarveError('objects_denied', {
      detail,
      hint: 'Check the credentials that `objects.s3.credentialsFrom` names, and that they may get, put, list and delete objects of this bucket.',
    });
  }
  if (status === 507 || name === 'QuotaExceeded' || name === 'XMinioStorageFull') {
    return new VarveError('objects_full', {
      detail,
      hint: 'Make room, or collect objects that nothing needs with `varve objects gc`; then repeat.',
    });
  }
  return new VarveError('objects_unreachable', {
    detail,
    hint: 'Check `objects.s3` in the configuration (bucket, region, endpoint) and the way there, then repeat.',
  });
}
