import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { documentEngine } from '../../src/cli/document-engine.ts';
import type { RunnerOptions } from '../../src/migration/index.ts';
import { documentKind, draftDocuments } from '../../src/migration/kind/document/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { noteText } from '../document/note-type.ts';
import { runnerOptions } from './fixture.ts';

/** Runner options of a project that has notes. */
export async function noteOptions(store: Store, root: string): Promise<RunnerOptions> {
  const types = pathToFileURL(join(import.meta.dirname, '../document/note-type.ts')).href;
  await writeFile(
    join(dirname(root), 'documents.ts'),
    `import { noteType } from '${types}';\nexport const note = noteType();\n`,
  );
  return { ...runnerOptions(store, root), kinds: [documentKind(documentEngine(dirname(root)))] };
}

/** `schema.note` with so many notes. */
export async function makeNotes(store: Store, schema: string, rows: number): Promise<void> {
  const texts = Array.from({ length: rows }, (_, at) => noteText(at));
  await store.script(`create table "${schema}".note (id bigint primary key, body jsonb)`);
  await store.execute(sql`
    insert into ${sql.id(schema, 'note')} select n - 1, t::jsonb from unnest(${texts}::text[]) with ordinality as u(t, n)`);
}

/** Counts the notes and writes a bundle for them; its id. */
export async function planNotes(
  options: RunnerOptions,
  schema: string,
  choices: { readonly isLazy?: boolean } = {},
): Promise<string> {
  const drafted = await draftDocuments(
    options,
    documentEngine(dirname(options.root)),
    {
      types: 'documents.ts',
      type: 'note',
      to: '2',
      source: { kind: 'column', table: `${schema}.note`, column: 'body' },
    },
    choices,
  );
  if (drafted.status === 'refused') throw new TypeError(JSON.stringify(drafted));
  if (drafted.outcome.status === 'refused') throw new TypeError(JSON.stringify(drafted.outcome));
  return drafted.migrationId;
}
