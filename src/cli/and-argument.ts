import type { Finding } from '../base/index.ts';
import type { Start } from '../provenance/index.ts';
import { usageFinding } from './failure.ts';
import { isFinding } from './table-argument.ts';

/** What `--and` says in the help of the commands that have it. */
export const AND_HELP = 'also only what is below these rows: "TABLE where CONDITION"; may be given again';

/** Collects a flag that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/**
 * Reads the texts of `--and`.
 *
 * Shape: `readRestrictions(['lab.rig where rig = 2'])` is `[{ table: 'lab.rig', where: 'rig = 2' }]`
 */
export function readRestrictions(texts: readonly string[] = []): readonly Start[] | Finding {
  const starts = texts.map(readRestriction);
  return starts.find(isFinding) ?? (starts as readonly Start[]);
}

function readRestriction(text: string): Start | Finding {
  const { table, where } =
    /^\s*(?<table>(?:"(?:[^"]|"")*"|[^\s"])+)\s+where\s+(?<where>\S[\s\S]*)$/iu.exec(text)?.groups ?? {};
  if (table === undefined || where === undefined) {
    return usageFinding('--and is not "TABLE where CONDITION"', 'Write it as --and "lab.rig where rig = 2".');
  }
  return { table, where };
}
