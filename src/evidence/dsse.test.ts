import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../base/index.ts';
import { canonicalBytes, sha256 } from './digest.ts';
import {
  fromBase64,
  keyIdOf,
  openEnvelope,
  sealEnvelope,
  toBase64,
  type CheckSignature,
  type Signer,
} from './dsse.ts';

/** Not a signature that keeps anything secret: the hash of key and message stands for one where no crypto is. */
const sign = (key: Uint8Array, message: Uint8Array): Uint8Array =>
  new TextEncoder().encode(sha256(new Uint8Array([...key, ...message])));
const check: CheckSignature = (key, message, signature) =>
  Promise.resolve(toBase64(sign(key, message)) === toBase64(signature));
const keyOf = (byte: number): Uint8Array => new Uint8Array(44).fill(byte);
const signerOf = (key: Uint8Array): Signer => ({
  keyId: keyIdOf(key),
  sign: (message) => Promise.resolve(sign(key, message)),
});
const TYPE = 'application/vnd.varve.test+json';
const knowing = (...keys: readonly Uint8Array[]) => ({
  publicKeyById: new Map(keys.map((key) => [keyIdOf(key), key])),
  check,
});

describe('a signed envelope', () => {
  it('signs type and body together, with their lengths in bytes', async () => {
    let message = '';
    const signer: Signer = {
      keyId: keyIdOf(keyOf(1)),
      sign: (bytes) => {
        message = new TextDecoder().decode(bytes);
        return Promise.resolve(bytes);
      },
    };
    await sealEnvelope('http://example.com/HelloWorld', { a: 'é' }, signer);
    expect(message).toBe('DSSEv1 29 http://example.com/HelloWorld 10 {"a":"é"}');
  });

  it('gives back what was put in, with the key that signed it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(
          fc.string({ unit: 'grapheme' }),
          fc.oneof(fc.integer(), fc.string({ unit: 'grapheme' })),
        ),
        async (body) => {
          const envelope = await sealEnvelope(TYPE, body, signerOf(keyOf(1)));
          const opened = await openEnvelope(envelope, TYPE, knowing(keyOf(2), keyOf(1)));
          expect(opened).toMatchObject({ status: 'ok', keyId: keyIdOf(keyOf(1)) });
          expect(opened.status === 'ok' && canonicalBytes(opened.body)).toEqual(canonicalBytes(body));
        },
      ),
    );
  });

  it.each<readonly [string, (envelope: JsonObject) => Json, string]>([
    ['no object', () => null, 'not_an_envelope'],
    ['no signature', (envelope) => ({ ...envelope, signatures: [] }), 'not_an_envelope'],
    ['a payload that is no base64', (envelope) => ({ ...envelope, payload: 'é' }), 'not_an_envelope'],
    ['another type', (envelope) => ({ ...envelope, payloadType: 'text/plain' }), 'payload_type'],
    [
      'another body',
      (envelope) => ({ ...envelope, payload: toBase64(canonicalBytes({ a: 2 })) }),
      'signature',
    ],
    [
      'the signature of another key under the id of this one',
      (envelope) => ({
        ...envelope,
        signatures: [{ keyid: keyIdOf(keyOf(1)), sig: toBase64(sign(keyOf(2), new Uint8Array())) }],
      }),
      'signature',
    ],
    [
      'an unknown key',
      (envelope) => ({ ...envelope, signatures: [{ keyid: keyIdOf(keyOf(9)), sig: 'AAAA' }] }),
      'key_unknown',
    ],
  ])('is refused with %s', async (_, change, reason) => {
    const envelope = await sealEnvelope(TYPE, { a: 1 }, signerOf(keyOf(1)));
    expect(await openEnvelope(change(envelope), TYPE, knowing(keyOf(1)))).toEqual({
      status: 'refused',
      reason,
    });
  });

  it('is refused where the register gives an id to another key', async () => {
    const envelope = await sealEnvelope(TYPE, { a: 1 }, signerOf(keyOf(1)));
    const publicKeyById = new Map([[keyIdOf(keyOf(1)), keyOf(2)]]);
    expect(await openEnvelope(envelope, TYPE, { publicKeyById, check: () => Promise.resolve(true) })).toEqual(
      {
        status: 'refused',
        reason: 'key_unknown',
      },
    );
  });

  it('is refused where two readers could see two bodies', async () => {
    const body = new TextEncoder().encode('{"a":1,"a":2}');
    const key = keyOf(1);
    const message = new TextEncoder().encode(`DSSEv1 ${String(TYPE.length)} ${TYPE} 13 {"a":1,"a":2}`);
    const envelope = {
      payloadType: TYPE,
      payload: toBase64(body),
      signatures: [{ keyid: keyIdOf(key), sig: toBase64(sign(key, message)) }],
    };
    expect(await openEnvelope(envelope, TYPE, knowing(key))).toEqual({
      status: 'refused',
      reason: 'body_not_canonical',
    });
  });
});

describe('base64', () => {
  it('goes there and back for all bytes, and reads nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
    for (const text of ['A', 'AA=', 'A===', 'AA==AA==', ' AAAA', 'AAA-'])
      expect(fromBase64(text)).toBeUndefined();
  });
});
