import { part, pipeline, t, type Pipeline } from '../../src/pipeline/index.ts';

/** What the make of `twice` reads, and what it gives. */
export interface TwiceMake {
  (inputs: { readonly split: { readonly count: number } }): { readonly twice: number };
}

/** Each note's words and their number, the words as part rows; below it twice that number, by this make. */
export function words(make: TwiceMake = ({ split }) => ({ twice: split.count * 2 })): Pipeline {
  const lab = pipeline('lab');
  const note = lab.manual('note', { key: { note: t.integer() }, columns: { text: t.text() } });
  const split = lab.computed('split', {
    parents: [note],
    columns: { count: t.integer() },
    parts: { word: part({ key: { n: t.integer() }, columns: { word: t.text() } }) },
    reads: { note },
    make: ({ note: { text } }) => {
      const found = text.split(' ');
      return { count: found.length, parts: { word: found.map((word, n) => ({ n, word })) } };
    },
  });
  lab.computed('twice', { parents: [split], columns: { twice: t.integer() }, reads: { split }, make });
  return lab;
}

/** As first defined. */
export const WORDS: Pipeline = words();
/** The make of `twice` has another text, and so another code, but gives the same. */
export const SAME: Pipeline = words(({ split }) => ({ twice: split.count + split.count }));
/** It gives something else. */
export const OTHER: Pipeline = words(({ split }) => ({ twice: split.count * 3 }));
