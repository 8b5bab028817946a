import { sameJson, type ColumnSpec } from '../../pipeline/index.ts';
import type { Pair } from '../naming.ts';
import { words, type ChangeType, type Constrain } from './change.ts';

const MEMBERS: readonly (keyof ColumnSpec)[] = [
  'nullable',
  'default',
  'check',
  'members',
  'unique',
  'object',
];

/** Uniqueness, checks, defaults, and whether columns may be empty. */
export const constrain: ChangeType<Constrain> = {
  kind: 'constrain',
  find: (pair) => {
    const what = [
      ...pair.spec.columns.flatMap(({ name }) => columnChange(pair, name)),
      ...uniqueChange(pair),
    ];
    return what.length === 0 ? [] : [{ kind: 'constrain', what }];
  },
  describe: ({ what }, table) => words('constrain', `${table} ${what.join(', ')}`),
};

function columnChange(pair: Pair, name: string): readonly string[] {
  const now = pair.spec.columns.find((column) => column.name === name);
  const former = pair.columns[0]?.[name];
  const was = pair.sources[0]?.columns.find((column) => column.name === former);
  if (now === undefined || was === undefined) return [];
  return MEMBERS.filter((member) => !sameJson(now[member], was[member])).map((member) => `${name} ${member}`);
}

function uniqueChange({ sources, spec, columns }: Pair): readonly string[] {
  const [old] = sources;
  if (old === undefined) return [];
  const names = new Map(Object.entries(columns[0] ?? {}).map(([now, was]) => [was, now]));
  const was = old.unique.map((each) => each.map((name) => names.get(name) ?? name));
  const added = spec.unique.filter((each) => !was.some((other) => sameJson(each, other)));
  const dropped = was.filter((each) => !spec.unique.some((other) => sameJson(each, other)));
  return [
    ...added.map((each) => `unique (${each.join(', ')})`),
    ...dropped.map((each) => `no longer unique (${each.join(', ')})`),
  ];
}
