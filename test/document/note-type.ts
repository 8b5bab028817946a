import {
  defineDocument,
  op,
  step,
  type DocumentType,
  type Model,
  type Policy,
} from '../../src/document/index.ts';

/** Notes of two versions, as tests of stores use them. */
export function noteType(policy: Policy = {}): DocumentType<unknown> {
  return defineDocument('note', {
    schema: { type: 'object', required: ['name'] },
    current: '2',
    version: { missing: '1', order: 'integer' },
    versions: { '1': {}, '2': {} },
    steps: [step('1', '2', [op.rename('/title', 'name'), op.remove('/draft')])],
    policy,
  });
}

/** Sealed. */
export function noteModel(policy: Policy = {}): Model {
  const model = noteType(policy).model();
  if (model.status === 'refused') throw new TypeError(JSON.stringify(model));
  return model.value;
}

/** What a note says before it is migrated: some are current, one in 701 has no title. */
export function noteText(at: number): string {
  if (at % 701 === 5) return `{"draft":${at}}`;
  return at % 4 === 0
    ? `{"schema_version":2,"name":"n","n":${at}.0}`
    : `{"title":"${at}","draft":${at},"context":${at % 3 === 0 ? 'null' : '{"by":1}'}}`;
}
