import type { Finding } from '../base/index.ts';
import {
  loadGenerations,
  loadKnownRelations,
  loadRelations,
  relationOf,
  type Relation,
} from '../pipeline/index.ts';
import type { Store } from '../store/index.ts';
import type { Context } from './context.ts';
import { storeToRead } from './open-project-world.ts';
import { findIn, isFinding, readKey, type KeyArgument } from './table-argument.ts';

/** What commands about one row are given. */
export interface KeyFlags {
  readonly key: string;
}

/** A row that is asked about, or why the question is none. */
export type KeyQuestion =
  | { readonly status: 'ok'; readonly store: Store; readonly table: string; readonly key: KeyArgument }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** Reads a table's name and `--key` against what is deployed: the question is about the database, whatever the files say by now. */
export async function openKeyQuestion(context: Context, name: string, keyText: string): Promise<KeyQuestion> {
  const store = await storeToRead(context);
  const table = await deployedTable(store, name);
  if ('severity' in table) return { status: 'refused', findings: [table] };
  const now = keyOf(keyText, table);
  // A result of a structure that was replaced is asked about by the key that it had.
  const before = isFinding(now) ? await loadGenerations(store, table.name) : [];
  const then = before.map((generation) => keyOf(keyText, generation)).find((each) => !isFinding(each));
  const key = then ?? now;
  if (isFinding(key)) return { status: 'refused', findings: [key] };
  return { status: 'ok', store, table: table.name, key };
}

/** A table whose make writes several rows for a key can be asked about by that key as well as by one of its rows. */
function keyOf(keyText: string, { name, spec }: Relation): KeyArgument | Finding {
  const { primaryKey, sourceKey } = spec;
  const given = readKey(keyText, name, primaryKey);
  return isFinding(given) && sourceKey.length > 0 ? orElse(readKey(keyText, name, sourceKey), given) : given;
}

function orElse(key: KeyArgument | Finding, finding: Finding): KeyArgument | Finding {
  return isFinding(key) ? finding : key;
}

/** The table of this name, or the last one of it: its past can be asked about when it is gone. */
export async function deployedTable(store: Store, name: string): Promise<Relation | Finding> {
  const live = findIn([...(await loadRelations(store)).keys()], name);
  const relations = await loadKnownRelations(store);
  // A bare name means the table of now, also where one of another schema had it.
  const found = typeof live === 'string' ? live : findIn([...relations.keys()], name);
  return typeof found === 'string' ? relationOf(relations, found) : found;
}
