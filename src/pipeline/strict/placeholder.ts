/** From a text with `$n` placeholders and its values to a statement of the store port. */
import { VarveError } from '../../base/index.ts';
import { sql, type Sql, type SqlValue } from '../../store/index.ts';
import { nodesBelow, type Tree } from './parse-tree.ts';

/** A text cut at its placeholders: `texts` has one member more than `numbers`. */
export interface Template {
  readonly texts: readonly string[];
  readonly numbers: readonly number[];
}

/** Cuts a text where its tree says that placeholders stand: a `$1` inside a string constant is none. */
export function templateOf(text: string, statements: readonly Tree[]): Template {
  const bytes = Buffer.from(text, 'utf8');
  const placeholders = [...nodesBelow(statements)]
    .filter(({ type }) => type === 'ParamRef')
    .map(({ fields }) => ({ number: Number(fields['number'] ?? 0), start: Number(fields['location'] ?? 0) }))
    .toSorted((left, right) => left.start - right.start);
  const texts: string[] = [];
  let end = 0;
  for (const { start } of placeholders) {
    texts.push(bytes.subarray(end, start).toString('utf8'));
    end = start + (/^\$\d+/.exec(bytes.subarray(start, start + 12).toString('latin1'))?.[0].length ?? 0);
  }
  texts.push(bytes.subarray(end).toString('utf8'));
  return { texts, numbers: placeholders.map(({ number }) => number) };
}

/** The template with its values. */
export function fillTemplate({ texts, numbers }: Template, values: readonly unknown[]): Sql {
  const pieces = texts.flatMap((text, index) => {
    const number = numbers[index];
    return number === undefined ? [sql.raw(text)] : [sql.raw(text), sql`${sqlValueOf(values[number - 1])}`];
  });
  return sql.join(pieces, sql.raw(''));
}

/** A value as the port takes it: dates as ISO text, objects as JSON text. */
function sqlValueOf(value: unknown): SqlValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return value;
    case 'object':
      if (value === null || value instanceof Uint8Array) return value;
      if (value instanceof Date) return value.toISOString();
      if (!Array.isArray(value)) return JSON.stringify(value);
      return value.every(isScalar) ? value : JSON.stringify(value);
    default:
      throw new VarveError('sql_invalid', {
        detail: { parameter: typeof value },
        hint: 'Give each placeholder a value; null where there is none.',
      });
  }
}

function isScalar(value: unknown): value is string | number | bigint | boolean | null {
  return value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value);
}
