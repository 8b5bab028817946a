import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openLab, sideLab, type Lab } from '../../test/evolution/lab.ts';
import { versionTwo } from '../../test/evolution/side-pipeline.ts';
import { withStores } from '../../test/harness/index.ts';
import type { JsonObject } from '../base/index.ts';
import { loadRelations } from '../pipeline/index.ts';
import { documentsOf, operationsIn } from './documents.ts';
import { isUntouched, type Seen } from './untouched.ts';

const TWO = versionTwo('lab');

withStores('what a plan looked at', (given) => {
  it('is as it was until somebody writes to it', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    const seen = await seenIn(lab, id);
    expect(await holds(lab, id, seen)).toBe(true);
    await lab.store.script('create table lab.other (a integer)');
    expect(await holds(lab, id, seen)).toBe(true);

    await lab.store.script('begin; insert into lab.s values (3, 30); rollback');
    expect(await holds(lab, id, seen)).toBe(true);
    await lab.store.script('update lab.side set "off" = "off"');
    expect(await holds(lab, id, seen)).toBe(false);
  });

  it.each([
    ['a row that came', 'insert into lab.s values (3, 30)'],
    ['a row that was read', 'update lab.side set "off" = 8'],
    ['what is recorded of a read', 'update varve.recorded_read set ordinal = ordinal'],
    ['what is recorded of a computation', 'update varve.computation set duration_us = 1'],
    ['a table that was emptied', 'truncate varve.recorded_read'],
  ])('is told from %s', async (_, written) => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    const seen = await seenIn(lab, id);
    await lab.store.script(written);
    expect(await holds(lab, id, seen)).toBe(false);
  });

  it('is not known where the file says nothing that can be held against the present', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    const seen = await seenIn(lab, id);
    for (const other of [
      {},
      { ...seen, server: '1 0' },
      { ...seen, snapshot: '1); drop table lab.s' },
      { ...seen, snapshot: '1:1000000000:' },
      { ...seen, snapshot: '5:5:' },
      { ...seen, tables: [] },
    ]) {
      expect(await holds(lab, id, other)).toBe(false);
    }
  });

  it('and a row that became ambiguous since refuses the run before it begins', async () => {
    await using lab = await openLab(given.store);
    await sideLab(lab);
    const id = await lab.planned(TWO);
    await lab.store.script(
      `update varve.recorded_read set keys = '[{"side": 1}, {"side": 2}]', row_count = 2`,
    );
    expect(await lab.apply(TWO, id)).toMatchObject({
      status: 'refused',
      findings: [{ code: 'rows_ambiguous', subject: 'lab.r' }],
    });
  });
});

async function seenIn(lab: Lab, id: string): Promise<Seen> {
  const plan = JSON.parse(await readFile(join(lab.root, 'pipeline', id, 'plan.json'), 'utf8')) as {
    readonly shown: { readonly seen: Seen };
  };
  return plan.shown.seen;
}

async function holds(lab: Lab, id: string, seen: JsonObject): Promise<boolean> {
  const read = async (name: string): Promise<JsonObject> =>
    JSON.parse(await readFile(join(lab.root, 'pipeline', id, name), 'utf8')) as JsonObject;
  const { forward, naming, sets } = documentsOf({
    'forward.json': await read('forward.json'),
    'rollback.json': await read('rollback.json'),
  });
  return lab.store.transaction({ isolation: 'repeatable read', readOnly: true }, async (transaction) =>
    isUntouched(
      {
        ...sets,
        transaction,
        naming,
        operations: operationsIn(forward),
        relations: await loadRelations(transaction),
      },
      seen,
    ),
  );
}
