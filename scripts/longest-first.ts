import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest, by a part of its path. */
const LONGEST = ['test/evolution/random/embedded', 'test/evolution/random/postgres', 'test/evolution/crash'];

/** Begins with the files that take longest: at the end one worker would wait for the other to end them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((part) => moduleId.includes(part));
      return found < 0 ? LONGEST.length : found;
    };
    return (await super.sort(files)).toSorted((left, right) => place(left) - place(right));
  }
}
