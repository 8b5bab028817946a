import type { Json } from '../../base/index.ts';
import { isExactDouble } from '../number.ts';
import { rawText, sortedText } from '../value.ts';
import type { Conversion, ScalarType } from './op.ts';

/** What a conversion made of a value; undefined where it has no answer for it. */
export type Convert = (value: Json) => Json | undefined;

/** A conversion in both directions. The way back of many-to-one answers with the first of the values. */
export function conversionOf(by: Conversion): { readonly forward: Convert; readonly back: Convert } {
  const { forward, back } = plainConversion(by);
  return { forward: (value) => forward(computable(value)), back: (value) => back(computable(value)) };
}

/** A raw number that only its spelling keeps from being a double, such as `1.0`, may be computed with. */
function computable(value: Json): Json {
  const text = rawText(value);
  return text !== undefined && isExactDouble(text) ? Number(text) : value;
}

function plainConversion(by: Conversion): { readonly forward: Convert; readonly back: Convert } {
  if ('table' in by) {
    return {
      forward: lookUp(by.table),
      back: lookUp(by.table.map(([from, to]) => [to, from] as const)),
    };
  }
  if ('scale' in by) {
    return {
      forward: (value) => finite(value, (number) => number * by.scale),
      back: (value) => finite(value, (number) => number / by.scale),
    };
  }
  if ('case' in by) {
    const lower = by.case === 'lower';
    return {
      forward: (value) => textOf(value, (text) => (lower ? text.toLowerCase() : text.toUpperCase())),
      back: (value) => textOf(value, (text) => text),
    };
  }
  const unit = by.epoch === 's' ? 1000 : 1;
  return {
    forward: (value) => {
      const time = typeof value === 'number' ? new Date(value * unit) : undefined;
      return time === undefined || Number.isNaN(time.getTime()) ? undefined : time.toISOString();
    },
    back: (value) => {
      // Text without an offset would be read in the time zone of the machine.
      const isExact = typeof value === 'string' && /T.*(Z|[+-]\d\d:\d\d)$/u.test(value);
      return isExact ? finite(Date.parse(value), (ms) => ms / unit) : undefined;
    },
  };
}

function lookUp(table: readonly (readonly [Json, Json])[]): Convert {
  const byScalar = new Map<Json, Json>();
  const byText = new Map<string, Json>();
  for (const [from, to] of table.toReversed()) {
    if (isScalar(from)) byScalar.set(from, to);
    else byText.set(sortedText(from), to);
  }
  return (value) => (isScalar(value) ? byScalar.get(value) : byText.get(sortedText(value)));
}

/** A scalar stands for itself, anything else for its text. */
function isScalar(value: Json): boolean {
  return typeof value !== 'object' || value === null;
}

function finite(value: Json, change: (number: number) => number): number | undefined {
  if (typeof value !== 'number') return undefined;
  const changed = change(value);
  return Number.isFinite(changed) ? changed : undefined;
}

function textOf(value: Json, change: (text: string) => string): string | undefined {
  return typeof value === 'string' ? change(value) : undefined;
}

/** A scalar as one of another type; undefined where it cannot be written as one. */
export function coerceTo(given: Json, type: ScalarType): Json | undefined {
  const value = computable(given);
  if (typeof value === 'object') return undefined;
  switch (type) {
    case 'string':
      return String(value);
    case 'boolean':
      if (typeof value === 'boolean') return value;
      return value === 'true' || value === 1 ? true : value === 'false' || value === 0 ? false : undefined;
    case 'number':
    case 'integer': {
      const number = typeof value === 'string' ? numberOfText(value) : Number(value);
      return number !== undefined && (type === 'number' || Number.isSafeInteger(number)) ? number : undefined;
    }
  }
}

function numberOfText(text: string): number | undefined {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/u.test(text)) return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}
