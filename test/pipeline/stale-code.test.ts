import { afterAll, beforeAll, expect, it } from 'vitest';
import { definitionsOf, digestCode, stale, type Pipeline } from '../../src/pipeline/index.ts';
import { createFixtureProject, type FixtureProject } from '../fixture/project.ts';
import { uniqueName, withStores } from '../harness/index.ts';
import { attach, countsOf, deploy } from './pipeline-lab.ts';

withStores('code that changes', (given) => {
  let project: FixtureProject;
  beforeAll(() => {
    project = createFixtureProject();
  });
  afterAll(() => project.remove());

  it('24. comments and other functions make nothing stale; the make and its packages do, with the reason', async () => {
    const schema = uniqueName('s');
    const file = `${schema}.ts`;
    const source = (options: { comment?: string; other?: string; factor?: number } = {}) => `
      import { pipeline, t } from 'varve/pipeline';
      import { scale } from 'scale';
      export const lab = pipeline('${schema}');
      // ${options.comment ?? 'first'}
      export function other() { return ${options.other ?? 1}; }
      export const Source = lab.manual('source', { key: { id: t.integer() } });
      export const Out = lab.computed('out', {
        parents: [Source], columns: { x: t.integer() }, reads: { source: Source },
        make: ({ source }) => ({ x: scale(source.id) * ${options.factor ?? 2} }),
      });`;
    const setPackage = (version: string) =>
      project.write({
        'node_modules/scale/package.json': JSON.stringify({
          name: 'scale',
          version,
          type: 'module',
          exports: './index.js',
        }),
        'node_modules/scale/index.js': 'export const scale = (x) => x;',
      });
    const load = async (text: string) => {
      project.write({ [file]: text });
      const tables = await project.tables(file);
      const collected = definitionsOf([{ tables } as unknown as Pipeline]);
      if (collected.status === 'refused') throw new Error(JSON.stringify(collected.findings));
      const codeByTable = await digestCode(tables, { projectFolder: project.folder, cacheFolder: null });
      return { tables, definitions: collected.definitions, codeByTable };
    };
    const reasons = async (text: string) => {
      const { definitions, codeByTable } = await load(text);
      const found = await stale(given.store, definitions, codeByTable);
      return found.status === 'ok'
        ? found.tables.flatMap((table) => table.stale.flatMap((key) => key.reasons))
        : found;
    };

    setPackage('1.0.0');
    const first = await load(source());
    const world = await deploy(given.store, { tables: first.tables } as unknown as Pipeline);
    const Source = first.tables.find(({ spec }) => spec.name === `${schema}.source`);
    const Out = first.tables.find(({ spec }) => spec.name === `${schema}.out`);
    if (Source === undefined || Out === undefined) throw new Error('no tables');
    await world.insert(Source, [{ id: 1 }]);
    expect(await attach(given.store, first.definitions, first.codeByTable).populate()).toMatchObject({
      status: 'done',
    });

    expect(await reasons(source({ comment: 'second' }))).toEqual([]);
    expect(await reasons(source({ other: '7 * 6' }))).toEqual([]);
    expect(await reasons(source({ factor: 3 }))).toMatchObject([
      { kind: 'code', isSourceChanged: true, packages: [] },
    ]);
    setPackage('1.1.0');
    expect(await reasons(source())).toMatchObject([
      { kind: 'code', isSourceChanged: false, packages: [{ name: 'scale', from: '1.0.0', to: '1.1.0' }] },
    ]);
    const upgraded = await load(source());
    const again = await attach(given.store, upgraded.definitions, upgraded.codeByTable).populate();
    expect(countsOf(again, Out)).toEqual({ computed: 1, failed: 0, remaining: 0, skippedUnchanged: 0 });
    expect(await reasons(source())).toEqual([]);
  });
});
