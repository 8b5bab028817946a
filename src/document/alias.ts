/**
 * The window after a rename in which readers take either name (D17).
 *
 * | name | alias | outcome |
 * |---|---|---|
 * | there | - | as it is |
 * | - | there | the value moves to the name, and the reader is told |
 * | there | there, equal | the alias goes |
 * | there | there, other | refused: nobody knows which one is meant |
 */
import { refusal, type Finding, type Json } from '../base/index.ts';
import type { Alias, Model } from './model.ts';
import { pointerToSegments, segmentsToPointer, valueAt, withValueAt } from './pointer.ts';
import { ok, refused, type Result } from './result.ts';
import { equalJson } from './value.ts';
import { compareVersions, type Version } from './version.ts';

/** The document with its fields under their names, where the window is open at this version. */
export function applyAliases(
  model: Model,
  document: Json,
  version: Version,
): Result<{ readonly document: Json; readonly findings: readonly Finding[] }> {
  let current = document;
  const findings: Finding[] = [];
  for (const alias of model.aliases) {
    if (compareVersions(model.rule.order, version, alias.until) > 0) continue;
    const named = applyAlias(model, current, alias);
    if (named.status === 'refused') return named;
    if (named.value !== current) findings.push(aliasUsed(model, alias));
    current = named.value;
  }
  return ok({ document: current, findings });
}

function applyAlias(model: Model, document: Json, { at, alias }: Alias): Result<Json> {
  const place = pointerToSegments(at);
  const other = [...place.slice(0, -1), alias];
  const [value, aliased] = [valueAt(document, place), valueAt(document, other)];
  if (aliased === undefined) return ok(document);
  if (value !== undefined && !equalJson(value, aliased)) {
    return refused(
      refusal('alias_conflict', `${model.name} ${at}`, {
        detail: { alias: segmentsToPointer(other) },
        hint: 'Correct the document: both names are there, with different values.',
      }),
    );
  }
  const without = withValueAt(document, other, undefined) ?? document;
  return ok(withValueAt(without, place, aliased) ?? document);
}

function aliasUsed(model: Model, { at, alias, until }: Alias): Finding {
  return {
    code: 'alias_used',
    severity: 'info',
    subject: `${model.name} ${at}`,
    detail: { alias, until },
    hint: 'Have the writer use the new name before the window closes.',
  };
}
