import { effectText, lockOf } from '../effect.ts';
import { existing, hitOf } from '../hits.ts';
import type { Hit, LintRule, LintView } from '../lint-rule.ts';

export const foreignKeyValidated: LintRule = {
  code: 'lint_foreign_key_validated',
  severity: 'error',
  finds: `\`add constraint ... foreign key ... references ...\` without NOT VALID; \`add column ... default ... references ...\``,
  why: `Every row is looked up in the other table while writers of both tables wait.`,
  remedy: `Add the foreign key NOT VALID and validate it in a later transaction, which lets writers in.`,
  example: {
    instead: `alter table geo.visit add constraint visit_place foreign key (place_id) references geo.place (place_id);`,
    write: `alter table geo.visit add constraint visit_place foreign key (place_id) references geo.place (place_id) not valid;
alter table geo.visit validate constraint visit_place;`,
  },
  find,
};

function find(view: LintView): readonly Hit[] {
  const referred = view.statement.effects.filter(({ action }) => action === 'add foreign key (other)');
  return existing(view, ['add foreign key']).map((effect) => {
    const other = referred.find(({ what, at }) => what === effect.what && at === effect.at);
    const also = other === undefined ? '' : `, and ${lockOf(other)} on ${other.relation}`;
    return hitOf(effect, `${effectText(effect)}${also}`);
  });
}
