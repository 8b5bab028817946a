import { pipeline, t, type Pipeline, type Table } from '../../src/pipeline/index.ts';

/** What nearly every case begins with: the manual table `lab.s (s, v)`. */
export type Source = Table<{ readonly s: number }, { readonly s: number; readonly v: number }, object>;

/** A pipeline of schema `lab`, written in place, that begins with `lab.s`. */
export function lab(define: (lab: Pipeline, s: Source) => void = () => undefined): Pipeline {
  return bare((given) => {
    define(given, given.manual('s', { key: { s: t.integer() }, columns: { v: t.integer() } }));
  });
}

/** The same with nothing in it. */
export function bare(define: (lab: Pipeline) => void): Pipeline {
  const made = pipeline('lab');
  define(made);
  return made;
}

/** Two rows of `lab.s`. */
export const TWO_SOURCES = 'insert into lab.s values (1, 10), (2, 20);';
