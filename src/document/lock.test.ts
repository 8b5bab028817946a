import { expect, it } from 'vitest';
import { defineDocument, op, step, type Model, type Op } from './index.ts';
import { lockFindings, lockOf } from './lock.ts';

function model(ops: readonly Op[], { more = false, title = 'string' } = {}): Model {
  const type = defineDocument('note', {
    schema: {},
    current: more ? '3' : '2',
    version: { missing: '1', order: 'integer' },
    versions: {
      '1': { schema: { type: 'object', properties: { title: { type: title } } } },
      '2': {},
      ...(more ? { '3': {} } : {}),
    },
    steps: [step('1', '2', ops), ...(more ? [step('2', '3', [])] : [])],
  }).model();
  if (type.status === 'refused') throw new TypeError(JSON.stringify(type));
  return type.value;
}

const shipped = model([op.rename('/title', 'name')]);

it('what shipped may stay, and new versions come behind', () => {
  const lock = lockOf(shipped);
  expect(Object.keys(lock.steps)).toEqual(['1>2']);
  expect(lockFindings(shipped, lock)).toEqual([]);
  // The schema of the current version becomes a snapshot of that version when a newer one comes.
  const { snapshots, ...rest } = lock;
  const { '2': _current, ...older } = snapshots;
  expect(
    lockFindings(model([op.rename('/title', 'name')], { more: true }), { ...rest, snapshots: older }),
  ).toEqual([]);
});

it('a changed step, a changed snapshot and a step that is gone are refused by name', () => {
  const changed = (now: Model) =>
    lockFindings(now, lockOf(shipped)).flatMap(({ detail }) => detail['changed']);
  expect(changed(model([op.rename('/title', 'label')]))).toEqual(['step 1>2']);
  expect(changed(model([op.rename('/title', 'name')], { title: 'number' }))).toEqual(['snapshot 1']);
  const more = model([op.rename('/title', 'name')], { more: true });
  expect(lockFindings(shipped, lockOf(more))).toMatchObject([
    { code: 'document_lock_changed', detail: { changed: ['step 2>3', 'snapshot 3'] } },
  ]);
});

it('what is no lock is refused', () => {
  expect(lockFindings(shipped, {})).toMatchObject([{ code: 'document_lock_changed' }]);
});
