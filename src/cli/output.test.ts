import { expect, it } from 'vitest';
import { tableText } from './output.ts';

it('aligns columns by display width', () => {
  const text = tableText(
    (_, plain) => plain,
    [{ head: 'table' }, { head: 'rows', align: 'right' }],
    [
      ['lab.鼠', '12'],
      ['lab.scan', '3'],
    ],
  );
  expect(text).toBe('table     rows\nlab.鼠      12\nlab.scan     3');
});
