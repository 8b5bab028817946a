/** What a database means when it refuses a statement of a script. Source: PostgreSQL, "Appendix A. Error Codes". */

const MEANINGS: Readonly<Record<string, string>> = {
  '22P02': 'A text is no value of the type that it is to become.',
  '23502': 'A column that may not be empty would be.',
  '23503': 'A row leads to one that is not there, or is led to by another.',
  '23505': 'A row like it is there already.',
  '23514': 'A row does not meet a check.',
  '3F000': 'A schema that it names is not there.',
  '42501': 'This user has not the right to do it.',
  '42601': 'The statement is no valid SQL.',
  '42701': 'A column of that name is there already.',
  '42703': 'A column that it names is not there.',
  '42704': 'A type or another object that it names is not there.',
  '42710': 'An object of that name is there already.',
  '42883': 'A function or operator that it names is not there, or not for these types.',
  '42P01': 'A table that it names is not there.',
  '42P06': 'A schema of that name is there already.',
  '42P07': 'A table or index of that name is there already.',
};

/** The hint of a refused statement; `after` says what became of what it did. Values of rows are in no hint. */
export function refusedHint(sqlstate: string, after: string): string {
  const meaning = MEANINGS[sqlstate] ?? 'Look up the SQLSTATE.';
  return `${meaning} The whole message is in the database log. ${after}`;
}
