import crypto, { type Cipheriv, type Decipheriv } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3Location } from '../../src/store/index.ts';

/** A server that speaks S3, with an empty bucket. */
export interface S3Server extends AsyncDisposable {
  /** With the names of environment variables that are set. */
  readonly location: S3Location;
  /** Whether it checks signatures, or only knows its users by name. */
  readonly checksSignatures: boolean;
}

const KEY = 'VARVE_TEST_S3_KEY';
const SECRET = 'VARVE_TEST_S3_SECRET';

/**
 * The server of the npm package s3rver on a free port; or the one that `VARVE_TEST_S3` names as `http://host:port/bucket`,
 * with its credentials in `VARVE_TEST_S3_KEY` and `VARVE_TEST_S3_SECRET`.
 */
export async function s3Server(): Promise<S3Server> {
  const address = process.env['VARVE_TEST_S3'];
  if (address !== undefined) return givenServer(new URL(address));
  const folder = await mkdtemp(join(tmpdir(), 'varve-s3-'));
  process.env[KEY] ??= 'S3RVER';
  process.env[SECRET] ??= 'S3RVER';
  const server = new (loadServer())({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory: folder,
    configureBuckets: [{ name: 'lab', configs: [] }],
  });
  const { port } = await server.run();
  return {
    location: locationOf(`http://127.0.0.1:${String(port)}`, 'lab'),
    checksSignatures: false,
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function givenServer(address: URL): S3Server {
  return {
    location: locationOf(address.origin, address.pathname.slice(1)),
    checksSignatures: true,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function locationOf(endpoint: string, bucket: string): S3Location {
  return { bucket, region: 'us-east-1', endpoint, prefix: 'project/a', credentialsFrom: [KEY, SECRET] };
}

interface Server {
  readonly run: () => Promise<AddressInfo>;
  readonly close: () => Promise<void>;
}

/**
 * It writes the tokens of a long listing with a cipher that Node no longer has, so it gets one that Node has. The package
 * has no types.
 */
function loadServer(): new (options: object) => Server {
  const { createCipheriv, createDecipheriv } = crypto;
  const thrice = (key: Buffer): Buffer => Buffer.concat([key, key, key]);
  Object.assign(crypto, {
    createCipheriv: (name: string, key: Buffer, iv: Buffer): Cipheriv =>
      name === 'des' ? createCipheriv('des-ede3-cbc', thrice(key), iv) : createCipheriv(name, key, iv),
    createDecipheriv: (name: string, key: Buffer, iv: Buffer): Decipheriv =>
      name === 'des' ? createDecipheriv('des-ede3-cbc', thrice(key), iv) : createDecipheriv(name, key, iv),
  });
  const require = createRequire(import.meta.url);
  return require('s3rver') as new (options: object) => Server;
}
