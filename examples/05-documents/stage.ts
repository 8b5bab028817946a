import { styleText } from 'node:util';

/** Something is not as told. */
class StoryBroken extends Error {
  override readonly name = 'StoryBroken';
}

/** Words between what is shown. */
export function say(text: string): void {
  console.log(`\n${styleText('cyan', text, { stream: process.stdout })}`);
}

/** Throws where something is not as told. */
export function expect(told: string, holds: boolean): void {
  if (!holds) throw new StoryBroken(`not as told: ${told}`);
}
