/** Names that SQL, JavaScript or varve's own statements use: whatever a definition accepts works in every statement. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isVarveError } from '../../src/base/index.ts';
import {
  definitionsOf,
  deleteRows,
  history,
  part,
  pipeline,
  planDelete,
  stale,
  t,
  why,
} from '../../src/pipeline/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { embeddedStore } from '../../src/store/postgres/index.ts';
import { attach, codeOf, countsOf, deploy, environment } from './pipeline-lab.ts';

let store: Store;
beforeAll(async () => {
  store = await embeddedStore({ folder: undefined });
}, 15_000);
afterAll(() => store[Symbol.asyncDispose]());

/** What varve's statements call their own columns, tables and aliases, or once did. */
const OWN_WORDS = [
  'code,reads,spec,inputs,output,key',
  'k,t,s,c,d,b',
  'ordinal,stale_,present_,complete_,output_,hash_',
  'batch,ok,row_,fresh,prov,record',
  'relation,key_hash,state,id,digest,r0',
  'select,from,User,order,group,table',
  `it's,a"b,per%cent,back\\slash,$1,a.b`,
  'größe,名前,🐭,e\u0301,\u00e9, ',
  'constructor,toString,hasOwnProperty,valueOf,then,length',
  `${'x'.repeat(62)}1,${'x'.repeat(62)}2,${'é'.repeat(31)},${'y'.repeat(63)},${'y'.repeat(62)},z`,
].map((words) => words.split(','));

describe('names of columns', () => {
  it.each(OWN_WORDS.map((words, index) => [words, index] as const))(
    'computes, finds stale, recomputes, explains and deletes with columns %j',
    async (words, index) => {
      const lab = pipeline(`words_${String(index)}`);
      const keyColumns = Object.fromEntries(words.map((word) => [word, t.integer()]));
      const valueColumns = Object.fromEntries(words.map((word) => [`v${word}`.slice(0, 30), t.integer()]));
      const Source = lab.manual('source', { key: keyColumns, columns: { weight: t.integer() } });
      const Twin = lab.manual('twin', { parents: [Source], columns: { height: t.integer() } });
      const Sum = lab.computed('sum', {
        parents: [Source],
        columns: { total: t.integer(), ...valueColumns },
        parts: { 'a part': part({ key: { n: t.integer() }, columns: { half: t.integer() } }) },
        reads: {
          source: Source,
          twins: Twin.matching(Object.fromEntries(words.map((word) => [word, word]))),
        },
        make: ({
          source,
          twins,
        }: {
          readonly source: { readonly weight: number };
          readonly twins: readonly object[];
        }) => ({
          total: source.weight + twins.length,
          ...Object.fromEntries(Object.keys(valueColumns).map((name) => [name, 1])),
          parts: { 'a part': [{ n: 1, half: 1 }] },
        }),
      } as never);
      const deployed = await deploy(store, lab);
      const keys = [1, 2, 3].map((n) => Object.fromEntries(words.map((word, at) => [word, n * 10 + at])));
      await deployed.insert(
        Source,
        keys.map((key) => ({ ...key, weight: 5 })),
      );
      await deployed.insert(Twin, [{ ...keys[0], height: 1 }]);
      expect(countsOf(await deployed.populate(), Sum)).toMatchObject({ computed: 3, failed: 0 });
      const sources = sql.id(`words_${String(index)}`, 'source');
      await store.execute(sql`update ${sources} set weight = 7 where ${sql.id(words[0] ?? '')} = 10`);
      expect(await staleCount(deployed)).toBe(1);
      const other = attach(
        store,
        deployed.definitions,
        codeOf([...deployed.definitions.tableByName.values()], '//'),
      );
      expect(await staleCount(other)).toBe(3);
      expect(countsOf(await deployed.populate(), Sum)).toMatchObject({ computed: 1, failed: 0 });
      const [first] = await deployed.rows(Sum);
      expect(first).toMatchObject({ ...keys[0], total: 8 });
      const origin = await why(store, `words_${String(index)}.sum`, keys[0] as never);
      expect(origin).toMatchObject({ status: 'ok', origin: { key: keys[0] } });
      const versions = await history(store, `words_${String(index)}.sum`, { key: keys[0] as never });
      expect(versions).toMatchObject({ status: 'ok', versions: [{}, {}] });
      const deleted = await deleteRows(
        store,
        deployed.definitions,
        `words_${String(index)}.source`,
        undefined,
        {
          environment,
        },
      );
      expect(deleted).toMatchObject({ status: 'deleted' });
      expect(await deployed.rows(Sum)).toEqual([]);
    },
    20_000,
  );

  async function staleCount(deployed: ReturnType<typeof attach>): Promise<number> {
    const found = await stale(store, deployed.definitions, deployed.codeByTable);
    if (found.status === 'refused') throw new Error(JSON.stringify(found.findings));
    return found.tables.reduce((count, table) => count + table.stale.length, 0);
  }

  it.each(['parts', '__proto__', '#code', '', 'x'.repeat(64), 'é'.repeat(32), '\ud800', 'a\0b'])(
    'refuses a column named %j',
    (name) => {
      const columns = JSON.parse(`{${JSON.stringify(name)}:0}`) as Record<string, unknown>;
      Object.defineProperty(columns, name, { value: t.text(), enumerable: true });
      expect(codeThrownBy(() => pipeline('p').manual('m', { key: columns as never }))).toBe(
        'definition_invalid',
      );
    },
  );

  it.each(['', 'a.b', 'x'.repeat(64), '\ud800', 'a\0b'])('refuses a table named %j', (name) => {
    expect(codeThrownBy(() => pipeline('p').manual(name, { key: { id: t.text() } }))).toBe(
      'definition_invalid',
    );
  });

  it('refuses a key that no index can hold, before any table is made', () => {
    const key = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`c${String(n)}`, t.integer()]));
    expect(codeThrownBy(() => pipeline('p').manual('m', { key }))).toBe('definition_invalid');
  });
});

function codeThrownBy(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
  return undefined;
}

describe('a condition of a deletion', () => {
  it('is refused where it names no column, and nothing is deleted', async () => {
    const lab = pipeline('removal');
    const Mouse = lab.manual('mouse', { key: { mouse: t.integer() } });
    const deployed = await deploy(store, lab);
    await deployed.insert(Mouse, [{ mouse: 1 }]);
    for (const where of ['mause = 1', "mouse = 'one'", 'mouse']) {
      const planned = await planDelete(store, deployed.definitions, 'removal.mouse', where);
      expect(planned).toMatchObject({ status: 'refused', findings: [{ code: 'where_invalid' }] });
      const deleted = await deleteRows(store, deployed.definitions, 'removal.mouse', where, { environment });
      expect(deleted).toMatchObject({ status: 'refused', findings: [{ code: 'where_invalid' }] });
    }
    expect(await deployed.rows(Mouse)).toHaveLength(1);
  });
});

describe('many tables', () => {
  it('collects a thousand definitions in seconds', () => {
    const lab = pipeline('wide');
    const root = lab.manual('root', { key: { id: t.integer() } });
    for (let n = 1; n < 1_000; n += 1) {
      lab.manual(`t${String(n)}`, { parents: [root], columns: { [`v${String(n)}`]: t.integer() } });
    }
    expect(definitionsOf([lab])).toMatchObject({ status: 'ok' });
  }, 10_000);
});
