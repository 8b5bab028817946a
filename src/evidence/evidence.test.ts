import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type JsonObject } from '../base/index.ts';
import {
  chainLine,
  checkReceipt,
  diffBaselines,
  digestOf,
  EMPTY_CHAIN,
  isDigest,
  manifestDigest,
  manifestEntry,
  proveEqual,
  readChain,
  readReceiptValue,
  SCHEMAS,
  sha256,
  validateSchema,
  validationStatus,
  type Baseline,
  type ChainHead,
  type SchemaName,
} from './index.ts';

describe('digests', () => {
  it('M114 are those of the published test vectors, over bytes that nobody converts', () => {
    expect(sha256('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(sha256('a\r\n')).not.toBe(sha256('a\n'));
    expect(isDigest(sha256('x'))).toBe(true);
    expect(isDigest('sha256:ABC')).toBe(false);
  });

  it('are equal for equal JSON values, whatever the order of their members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.integer()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).toReversed());
        expect(digestOf(turned)).toBe(digestOf(value));
      }),
    );
  });

  it('M115 of a manifest change with any file, name or byte, and not with the order', () => {
    const files = ['a', 'b', 'c/d'].map((path) => manifestEntry(path, new TextEncoder().encode(path)));
    const digest = manifestDigest(files);
    expect(manifestDigest(files.toReversed())).toBe(digest);
    const others = [
      files.slice(1),
      [...files, manifestEntry('e', new Uint8Array())],
      [manifestEntry('a2', new Uint8Array([97])), ...files.slice(1)],
    ];
    for (const other of others) expect(manifestDigest(other)).not.toBe(digest);
  });
});

describe('a chain', () => {
  const text = (count: number): string => {
    let head: ChainHead = EMPTY_CHAIN;
    let lines = '';
    for (let index = 0; index < count; index += 1) {
      const line = chainLine(head, { state: `s${index}` });
      lines += `${canonicalJson(line)}\n`;
      head = line;
    }
    return lines;
  };

  it('reads back what was written', () => {
    expect(readChain(text(5))).toMatchObject({
      lines: [{ seq: 1 }, { seq: 2 }, { seq: 3 }, { seq: 4 }, { seq: 5 }],
      head: { seq: 5 },
    });
    expect(readChain('')).toEqual({ lines: [], head: EMPTY_CHAIN });
  });

  it('is cut short at any byte and never read as more than its whole lines', () => {
    const whole = text(4);
    for (let at = 0; at < whole.length; at += 1) {
      const reading = readChain(whole.slice(0, at));
      const lines = whole.slice(0, at).split('\n').length - 1;
      expect(reading.lines).toHaveLength(lines);
      expect(reading.broken?.reason).toBe(whole[at - 1] === '\n' || at === 0 ? undefined : 'cut_short');
    }
  });

  it('breaks at the line that was changed, dropped, repeated or moved', () => {
    const lines = text(4).trimEnd().split('\n');
    const [one = '', two = '', three = '', four = ''] = lines;
    const broken = (...rows: readonly string[]): unknown => readChain(`${rows.join('\n')}\n`).broken;
    expect(broken(one, two.replace('s1', 'sx'), three, four)).toEqual({ line: 2, reason: 'digest' });
    expect(broken(one, three, four)).toEqual({ line: 2, reason: 'prev' });
    expect(broken(one, two, two, three)).toEqual({ line: 3, reason: 'prev' });
    expect(broken(one, three, two, four)).toEqual({ line: 2, reason: 'prev' });
    expect(broken(one, two.replace('{', '{ '))).toEqual({ line: 2, reason: 'not_canonical' });
    expect(broken(one, 'x')).toEqual({ line: 2, reason: 'not_json' });
  });

  it('takes no body that has a member of the chain', () => {
    expect(() => chainLine(EMPTY_CHAIN, { digest: 'x' })).toThrow();
  });
});

describe('baselines', () => {
  const baseline = (rows: Readonly<Record<string, string>>, shape = 'a'): Baseline => ({
    baseline_version: 'v1',
    algorithm: 'test/1',
    server_version: '18',
    object_counts: { table: Object.keys(rows).length },
    schema_fingerprint: { strict: sha256(shape), logical: sha256(shape) },
    tables: Object.entries(rows).map(([table, text]) => ({ table, rows: text.length, digest: sha256(text) })),
  });

  it('differ table by table', () => {
    expect(diffBaselines(baseline({ a: 'x', b: 'x' }), baseline({ a: 'xy', c: 'x' }, 'b'))).toMatchObject({
      schema_changed: true,
      tables: [
        { table: 'a', change: 'changed', rows_before: 1, rows_after: 2 },
        { table: 'b', change: 'removed', rows_before: 1, rows_after: null },
        { table: 'c', change: 'added', rows_before: null, rows_after: 1 },
      ],
    });
  });

  it.each([
    ['equal', baseline({ a: 'x' }), []],
    ['not_equal', baseline({ a: 'y' }), []],
    ['not_equal', baseline({ a: 'x' }, 'b'), [{ table: 'a', rows: 1 }]],
    ['not_equal', { ...baseline({ a: 'x' }), algorithm: 'test/2' }, []],
    ['not_equal', { ...baseline({ a: 'x' }), server_version: '17' }, []],
    ['not_equal', baseline({}), [{ table: 'a', rows: 1 }]],
    ['equal_except_new_writes', baseline({ a: 'xy' }), [{ table: 'a', rows: 1 }]],
    ['equal_except_new_writes', baseline({ a: 'x' }), [{ table: 'a', rows: 2 }]],
    ['not_equal', baseline({ a: 'xy' }), [{ table: 'b', rows: 1 }]],
    ['not_equal', baseline({ a: 'xy' }), [{ table: 'a', rows: 0 }]],
  ])('are proved %s', (status, found, newWrites) => {
    expect(proveEqual(baseline({ a: 'x' }), found, newWrites)).toMatchObject({
      status,
      new_writes: newWrites,
    });
  });
});

describe('a receipt', () => {
  it('M40 passes only when it was committed and every check that is required passed', () => {
    const pass = { name: 'scope', status: 'pass' } as const;
    expect(validationStatus('committed', [pass])).toBe('pass');
    expect(validationStatus('committed', [])).toBe('fail');
    expect(validationStatus('rolled_back', [pass])).toBe('fail');
    for (const status of ['fail', 'error', 'not_run'] as const) {
      expect(validationStatus('committed', [pass, { name: 'limits', status }])).toBe('fail');
      const optional = [pass, { name: 'signature', status, required: false }] as const;
      expect(validationStatus('committed', optional)).toBe(status === 'not_run' ? 'pass' : 'fail');
    }
    expect(validationStatus('committed', [{ name: 'signature', status: 'not_run', required: false }])).toBe(
      'fail',
    );
  });
});

describe('a receipt as read', () => {
  const foreign: JsonObject = {
    kfm_run_receipt_version: 'v1',
    run_id: 'kfm://run/2025-01-01T00:00:00Z.migration.one',
    run_type: 'migration',
    direction: 'rehearsal',
    migration_id: 'PG-MIG-2026-05-12-01',
    outcome: 'committed',
    actor: { principal: 'svc:runner', role: 'runner', shift: 'night' },
    started_at: '2026-05-12T09:14:07.000Z',
    finished_at: '2026-05-12T09:14:08.000Z',
    environment: { name: 'stage', git_commit: null, params_digest: null, host: 'h', region: 'north' },
    inputs: [{ path: 'migration.yml', digest: sha256('a'), mode: '0644' }],
    outputs: [],
    bundle_digest: sha256('b'),
    plan_digest: sha256('c'),
    approvals: [],
    validation: { status: 'pass', checks: [{ name: 'scope', status: 'pass', by: 'them' }], findings: [] },
    rollback: { class: 'lossless', rung: 'R3' },
    chain: { seq: 1, prev: sha256(''), digest: sha256('d') },
    theirs: { kept: [1, 2] },
  };

  it('M39 may have the names of others and members that nobody knows; without a level it was enforced by nothing', async () => {
    const receipt = readReceiptValue(foreign);
    expect(await validateSchema('run_receipt.v1', receipt)).toEqual([]);
    const { kfm_run_receipt_version: version, ...rest } = foreign;
    expect(receipt).toEqual({
      ...rest,
      run_receipt_version: version,
      enforcement: { level: 'none', layers: [], role: 'none' },
    });
    const own = {
      ...rest,
      run_receipt_version: 'v1',
      enforcement: { level: 'observed', layers: [], role: 'none' },
    };
    expect(readReceiptValue(own)).toEqual(own);
  });

  it('M38 names its type, migration, environment and direction, and no others', async () => {
    const receipt = readReceiptValue(foreign);
    const spoilt: readonly JsonObject[] = [
      { ...receipt, run_type: 'job' },
      { ...receipt, migration_id: 'one' },
      { ...receipt, environment: { ...receipt.environment, name: 'production' } },
      { ...receipt, direction: 'sideways' },
      { ...receipt, run_id: 'http://run/one' },
    ];
    for (const value of spoilt)
      expect((await validateSchema('run_receipt.v1', value)).length).toBeGreaterThan(0);
  });

  it('M127 F22 that ends before it starts is invalid', () => {
    const receipt = readReceiptValue(foreign);
    expect(checkReceipt(receipt, 'x')).toEqual([]);
    const back = { ...receipt, finished_at: '2026-05-12T09:14:06.999Z' };
    expect(checkReceipt(back, 'x')).toMatchObject([{ code: 'receipt_invalid', detail: { reason: 'time' } }]);
    const kinder = { ...receipt, validation: { ...receipt.validation, checks: [] } };
    expect(checkReceipt(kinder, 'x')).toMatchObject([{ detail: { reason: 'validation_status' } }]);
  });
});

describe('schemas', () => {
  it.each(Object.keys(SCHEMAS) as SchemaName[])(
    '%s compiles and refuses an empty object and an array',
    async (name) => {
      for (const value of [{}, []] as const)
        expect((await validateSchema(name, value)).length).toBeGreaterThan(0);
    },
  );

  it('say where and by which rule, and never the value', async () => {
    const value: JsonObject = { table: 'secret', rows: -1, digest: 'secret', more: 'secret' };
    const faults = await validateSchema('baseline.v1', { tables: [value] });
    expect(faults).toContainEqual({
      pointer: '/tables/0/rows',
      keyword: 'minimum',
      rule: 'must be >= 0',
      known: [],
    });
    expect(faults).toContainEqual(
      expect.objectContaining({ pointer: '/tables/0/more', keyword: 'additionalProperties' }),
    );
    expect(JSON.stringify(faults)).not.toContain('secret');
  });
});
