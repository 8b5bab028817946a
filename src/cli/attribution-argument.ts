import { InvalidArgumentError, Option } from 'commander';
import type { AttributionRule } from './kinds.ts';

/** `--attribute`, of `varve plan` and `varve apply`. */
export function attributeOption(): Option {
  return new Option(
    '--attribute <rule...>',
    'what becomes of ambiguous rows, as TABLE=RULE, or RULE for every table: recompute',
  ).argParser(readRule);
}

function readRule(text: string, before: readonly AttributionRule[] = []): readonly AttributionRule[] {
  const parts = /^(?:(?<table>[^=]+)=)?(?<rule>[^=]+)$/u.exec(text)?.groups;
  if (parts?.['rule'] === undefined) throw new InvalidArgumentError('Not TABLE=RULE or RULE.');
  return [...before, { table: parts['table'], rule: parts['rule'] }];
}
