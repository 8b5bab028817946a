import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const validatedInSameTransaction: LintRule = {
  code: 'lint_validated_in_same_transaction',
  severity: 'error',
  finds: `\`validate constraint\` in the transaction that added the constraint NOT VALID`,
  why: `The lock of the first statement is held until the transaction ends, so the table stays closed while every row is checked.`,
  remedy: `Commit after adding the constraint, and validate it in a transaction of its own.`,
  example: {
    instead: `begin;
alter table geo.place add constraint height_sane check (height < 9000) not valid;
alter table geo.place validate constraint height_sane;
commit;`,
    write: `begin;
alter table geo.place add constraint height_sane check (height < 9000) not valid;
commit;
begin;
alter table geo.place validate constraint height_sane;
commit;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const { history } = view;
  if (!history.inTransaction) return [];
  return existing(view, ['validate constraint']).flatMap((effect) => {
    const known = history.constraint(effect.relation, effect.what ?? '');
    if (known?.transaction !== history.transaction) return [];
    return [
      hitOf(effect, `reads all of ${effect.relation} under the lock that adding ${effect.what ?? 'it'} took`),
    ];
  });
}
