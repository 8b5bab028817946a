/** Whether a double says exactly what a number token of JSON says; `1.0` and `1e2` do, `2^53 + 1` does not. */
export function isExactDouble(token: string): boolean {
  const number = Number(token);
  if (!Number.isFinite(number) || Object.is(number, -0)) return false;
  return decimalOf(token) === decimalOf(String(number));
}

/** Whether a token is written as JavaScript writes the number: then it comes out of a parse as it went in. */
export function isPlainToken(token: string): boolean {
  return String(Number(token)) === token;
}

/** Digits without zeros at either end, and the power of ten of the last one: equal for equal numbers. */
function decimalOf(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/u.exec(token) ?? [];
  const digits = (whole + fraction).replace(/^0+/u, '');
  const significant = digits.replace(/0+$/u, '');
  if (significant === '') return '0';
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
