/** Where a rule struck in a text; the text itself is never kept. */
export interface Spot {
  readonly rule: string;
  /** Index of its first character. */
  readonly at: number;
  /** Such as `base64`: found inside what was written that way. */
  readonly encoding?: string;
}

/** A pattern with what has to hold of a match beside. Patterns have bounded repetition only: the text may be hostile. */
export interface PatternRule {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly accepts?: (match: RegExpExecArray, text: string) => boolean;
}

/** The spots of one pattern. */
export function spotsOf({ rule, pattern, accepts }: PatternRule, text: string): readonly Spot[] {
  const spots: Spot[] = [];
  for (const match of text.matchAll(pattern)) {
    if (accepts === undefined || accepts(match, text)) spots.push({ rule, at: match.index });
  }
  return spots;
}

/** Whether a value only stands for one that comes from elsewhere, so that naming it gives nothing away. */
export function isPlaceholder(value: string): boolean {
  return (
    /^(?:\$\{[^}]*\}|\$\(?[A-Za-z_0-9]+\)?|<[^>]*>|\{\{?[^}]*\}?\}|%[A-Za-z]|%\(\w+\)s|:'?\w+'?|\?+|\*+|\.{3,}|x+|null|none|undefined|true|false)$/iu.test(
      value,
    ) || /^(?:env:|secret:|vault:|file:|process\.env|current_setting)/iu.test(value)
  );
}
