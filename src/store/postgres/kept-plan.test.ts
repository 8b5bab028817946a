import { expect, test } from 'vitest';
import { createKeptPlans, type PlanDriver } from './kept-plan.ts';

/** A driver that says what it was asked: `p` a statement that is parsed, `e` one that is there, `-` one without a name. */
function driver(): PlanDriver<string> & { readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  return {
    dropped,
    send: (plan) => Promise.resolve(plan === undefined ? '-' : plan.isParsed ? 'e' : 'p'),
    drop: (name) => {
      dropped.push(name);
      return Promise.resolve();
    },
  };
}

async function runAll(texts: readonly string[]): Promise<{ sent: string; dropped: readonly string[] }> {
  const plans = createKeptPlans();
  const given = driver();
  let sent = '';
  for (const text of texts) sent += await plans.run(text, given);
  return { sent, dropped: given.dropped };
}

const many = (count: number, name: string): readonly string[] =>
  Array.from({ length: count }, (_, at) => `${name} ${String(at)}`);

test('a statement is parsed once, and again after 256 uses', async () => {
  const { sent, dropped } = await runAll(Array.from({ length: 258 }, () => 'a'));
  expect(sent).toBe(`p${'e'.repeat(255)}pe`);
  expect(dropped).toEqual(['varve_plan_1']);
});

test('of more statements than there is room for, those that came first are kept', async () => {
  const texts = many(65, 'a');
  const { sent, dropped } = await runAll([...texts, ...texts]);
  expect(sent).toBe(`${'p'.repeat(64)}-${'e'.repeat(64)}-`);
  expect(dropped).toEqual([]);
});

test('one that was long not used makes room, and one that is used again and again stays', async () => {
  const others = Array.from({ length: 1025 }, () => 'a 0');
  const { sent, dropped } = await runAll([...many(64, 'a'), ...others, 'new', 'a 0', 'a 1']);
  expect(sent.slice(-3)).toBe('pep');
  expect(dropped.slice(-2)).toEqual(['varve_plan_2', 'varve_plan_3']);
});
