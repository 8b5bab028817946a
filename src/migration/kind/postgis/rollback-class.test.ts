import { expect, it } from 'vitest';
import { asNode, readScript } from '../../../store/index.ts';
import { rollbackClassOf } from './rollback-class.ts';

async function classOf(forward: string, rollback: string): Promise<string> {
  const read = async (text: string): Promise<Parameters<typeof rollbackClassOf>[0]> => {
    const { statements } = await readScript(text);
    return statements.flatMap(({ node }) => {
      const typed = asNode(node);
      return typed === undefined ? [] : [{ kind: typed.type, node: typed }];
    });
  };
  return rollbackClassOf(await read(forward), await read(rollback));
}

it.each([
  ['create index i on t (a)', 'drop index i'],
  [
    'create index i on lab.t (a); comment on table t is $$x$$',
    'drop index lab.i; comment on table t is null',
  ],
  ['create view v as select 1', 'drop view v'],
  ['alter table t add constraint k check (a > 0)', 'alter table t drop constraint k'],
  ['alter table t alter column a set not null', 'alter table t alter column a drop not null'],
])('M108 lossless: %s', async (forward, rollback) => {
  expect(await classOf(forward, rollback)).toBe('lossless');
});

it.each([
  ['alter table t add column b int', 'alter table t drop column b'],
  ['create table t (a int)', 'drop table t'],
  ['update t set a = 1', 'update t set a = 0'],
  ['delete from t', 'insert into t values (1)'],
  ['truncate t', 'insert into t values (1)'],
  ['alter table t drop column a', 'alter table t add column a int'],
  ['alter table t alter column a type text', 'alter table t alter column a type int using a::int'],
  ['alter table t drop constraint k', 'alter table t add constraint k check (a > 0)'],
  ['select f()', 'select g()'],
  ['do $$ begin end $$', 'drop index i'],
  ['create index i on t (a)', 'drop index other'],
  ['create index i on t (a)', 'drop index i; drop table t'],
  ['create view v as select 1', 'drop view v cascade'],
  ['create index i on t (a)', ''],
])('M108 not lossless: %s', async (forward, rollback) => {
  expect(await classOf(forward, rollback)).toBe('lossy_on_new_writes');
});
