import { InvalidArgumentError, Option } from 'commander';
import type { AttributionRule } from './kinds.ts';

/** `--attribute`, of `varve plan` and `varve apply`. */
export function attributeOption(): Option {
  return new Option(
    '--attribute <rule...>',
    'what becomes of ambiguous rows: TABLE=recompute, retire or keep (recompute-all: of every row, whatever is recorded); TABLE.COLUMN=EXPRESSION, in SQL over the old row; TABLE=./FILE.ts#FUNCTION; recompute for every table',
  ).argParser(readRule);
}

/** `TABLE=RULE`, `TABLE.COLUMN=EXPRESSION` or `RULE`; a name with a dot or `=` in it stands in double quotes. */
function readRule(text: string, before: readonly AttributionRule[] = []): readonly AttributionRule[] {
  const parts = /^(?<subject>(?:"(?:[^"]|"")+"|[^"=])*)=(?<rule>.+)$/su.exec(text)?.groups;
  const rule = parts?.['rule']?.trim();
  if (parts === undefined && !/["=]/u.test(text)) return [...before, { subject: undefined, rule: text }];
  const subject = partsOf(parts?.['subject']?.trim() ?? '');
  if (subject === undefined || rule === undefined || rule === '')
    throw new InvalidArgumentError('Not TABLE=RULE, TABLE.COLUMN=EXPRESSION or RULE.');
  if (before.some((each) => each.subject?.join('\0') === subject.join('\0')))
    throw new InvalidArgumentError(`Two rules for ${subject.join('.')}.`);
  return [...before, { subject, rule }];
}

/** `lab."a.b".c` is `['lab', 'a.b', 'c']`. */
function partsOf(subject: string): readonly string[] | undefined {
  if (!/^(?:"(?:[^"]|"")+"|[^".]+)(?:\.(?:"(?:[^"]|"")+"|[^".]+))*$/u.test(subject)) return undefined;
  return [...subject.matchAll(/"(?<quoted>(?:[^"]|"")+)"|(?<bare>[^".]+)/gu)].map(
    ({ groups }) => groups?.['quoted']?.replaceAll('""', '"') ?? groups?.['bare'] ?? '',
  );
}
