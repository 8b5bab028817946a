/**
 * Evolution beside the plain SQL that an expert would write by hand, on one server in one run.
 *
 * | case | beside |
 * |---|---|
 * | declare | `UPDATE ... FROM` of the same column |
 * | rekey | `CREATE TABLE AS` and constraints |
 * | recompute | drop and repopulate, from its pace |
 * | resume | nothing: rows done twice, rows lost |
 * | plan | nothing: seconds |
 *
 * `VARVE_BENCH_EVOLUTION_ROWS` makes it smaller (default a million rows), `VARVE_BENCH_EVOLUTION_PLAN_ROWS` the plan (default
 * ten times that), and `VARVE_BENCH_EVOLUTION_CASES` names some of the cases.
 */
import type { Figure } from '../figure.ts';
import type { AreaResult, BenchStores } from '../stores.ts';
import { declareReference, recomputeSome, resumeAfterKill } from './declare.ts';
import { inDatabase, type CaseResult, type Place } from './place.ts';
import { planMany } from './plan.ts';
import { rekey } from './rekey.ts';

const CASES: Readonly<Record<string, (place: Place) => Promise<CaseResult>>> = {
  declare: declareReference,
  rekey,
  recompute: recomputeSome,
  resume: resumeAfterKill,
  plan: planMany,
};

/** Measures the cases on the server; a change that no operation carries out yet is left out, and said so. */
export async function benchEvolution(stores: BenchStores): Promise<AreaResult> {
  const wanted = process.env['VARVE_BENCH_EVOLUTION_CASES']?.split(',') ?? Object.keys(CASES);
  const figures: Figure[] = [];
  for (const [name, work] of Object.entries(CASES)) {
    if (!wanted.includes(name)) continue;
    const result = await inDatabase(stores, name, work);
    if ('leftOut' in result) stores.progress(`${name}: left out, since ${result.leftOut}`);
    else figures.push(...result);
  }
  return { status: 'measured', figures };
}
