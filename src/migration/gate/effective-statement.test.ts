import { expect, it } from 'vitest';
import { scriptEffect } from './effective-statement.ts';

it.each<readonly [string, Awaited<ReturnType<typeof scriptEffect>>]>([
  ['', 'without_effect'],
  ['-- drop table app.site;\n/* delete from x; */', 'without_effect'],
  ['select 1', 'without_effect'],
  [';;;', 'without_effect'],
  ['begin; select 1; commit', 'without_effect'],
  ['set search_path = app; show search_path', 'without_effect'],
  ['explain delete from app.site', 'without_effect'],
  ['with x as (select 1) select * from x', 'without_effect'],
  ['drop table app.site', 'effective'],
  ['select 1; alter table app.site drop column code', 'effective'],
  ['with gone as (delete from app.site returning 1) select 1 from gone', 'effective'],
  ['select 1 as x into app.copy', 'effective'],
  ["select dropgeometrycolumn('app', 'site', 'geom')", 'effective'],
  ['do $$ begin end $$', 'effective'],
  ['drop tabel app.site', 'no_sql'],
])('M46 the way back %j is %s', async (text, want) => {
  expect(await scriptEffect(text)).toBe(want);
});
