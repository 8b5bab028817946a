import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { documentEngine } from '../../src/cli/document-engine.ts';
import {
  approveMigration,
  createKeyPair,
  readSigner,
  registerKey,
  type RunnerOptions,
} from '../../src/migration/index.ts';
import { documentKind, draftDocuments, type Source } from '../../src/migration/kind/document/index.ts';
import { sql, type Store } from '../../src/store/index.ts';
import { uniqueName } from '../harness/index.ts';
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

/** Where notes lie. */
export type NotesIn = 'column' | 'sqlite';

/** Notes of a test, by number. */
export interface Notes {
  readonly source: Source;
  /** How scope names them. */
  readonly place: string;
  /** How counts name them. */
  readonly object: string;
  /** Of every note with its number. */
  readonly digest: () => Promise<string>;
  readonly one: (id: number) => Promise<unknown>;
  /** Writes one as somebody else would. */
  readonly set: (id: number, body: string) => Promise<void>;
  /** How many have no version. */
  readonly old: () => Promise<number>;
  /** How many tables stand where they lie with what runs have built. */
  readonly built: () => Promise<number>;
  /** Runs a script where they lie; `note` is their table. */
  readonly script: (text: string) => Promise<void>;
}

/** So many notes in a place of their own. */
export async function makeNotes(options: RunnerOptions, where: NotesIn, rows: number): Promise<Notes> {
  const texts = Array.from({ length: rows }, (_, at) => noteText(at));
  return where === 'column' ? columnNotes(options.store, texts) : sqliteNotes(dirname(options.root), texts);
}

async function columnNotes(store: Store, texts: readonly string[]): Promise<Notes> {
  const schema = uniqueName('doc');
  await store.script(
    `create schema "${schema}"; create table "${schema}".note (id bigint primary key, body jsonb)`,
  );
  const note = sql.id(schema, 'note');
  await store.execute(
    sql`insert into ${note} select n - 1, t::jsonb from unnest(${texts}::text[]) with ordinality as u(t, n)`,
  );
  const first = async <T>(query: ReturnType<typeof sql>): Promise<T | undefined> => {
    const [row] = await store.query<{ value: T }>(query);
    return row?.value;
  };
  return {
    source: { kind: 'column', table: `${schema}.note`, column: 'body' },
    place: `${schema}.note.body`,
    object: `${schema}.note`,
    digest: async () =>
      shortened(
        await first<string>(sql`select string_agg(id || body::text, ',' order by id) as value from ${note}`),
      ),
    one: (id) => first(sql`select body as value from ${note} where id = ${id}`),
    set: async (id, body) => {
      await store.execute(
        sql`insert into ${note} values (${id}, ${body}::jsonb) on conflict (id) do update set body = excluded.body`,
      );
    },
    old: async () =>
      (await first<number>(
        sql`select count(*)::int as value from ${note} where not body ? 'schema_version'`,
      )) ?? -1,
    built: async () =>
      (await first<number>(sql`select count(*)::int as value from information_schema.tables
        where table_schema = 'varve_history' and table_name like '%built'`)) ?? -1,
    script: async (text) => {
      await store.script(`set search_path to "${schema}"; ${text}; reset search_path`);
    },
  };
}

function sqliteNotes(projectDir: string, texts: readonly string[]): Notes {
  const file = `${uniqueName('doc')}.db`;
  mkdirSync(projectDir, { recursive: true });
  const within = <T>(work: (db: DatabaseSync) => T): Promise<T> => {
    const db = new DatabaseSync(join(projectDir, file), { timeout: 10_000 });
    try {
      return Promise.resolve(work(db));
    } finally {
      db.close();
    }
  };
  void within((db) => {
    db.exec('create table note (id integer primary key, body text)');
    db.prepare('insert into note select key, value from json_each(?)').run(JSON.stringify(texts));
  });
  const one = (db: DatabaseSync, query: string, ...values: readonly number[]): unknown =>
    db.prepare(query).get(...values)?.['value'];
  return {
    source: { kind: 'sqlite', file, table: 'note', column: 'body' },
    place: `${file}#note.body`,
    object: `${file}#note.body`,
    digest: () =>
      within((db) =>
        shortened(
          one(db, `select group_concat(id || body, ',') as value from (select * from note order by id)`),
        ),
      ),
    one: (id) =>
      within((db) => {
        const text = one(db, 'select body as value from note where id = ?', id);
        return typeof text === 'string' ? (JSON.parse(text) as unknown) : undefined;
      }),
    set: (id, body) =>
      within((db) => {
        db.prepare('insert or replace into note values (?, ?)').run(id, body);
      }),
    old: () =>
      within((db) =>
        Number(one(db, `select count(*) as value from note where body ->> '$.schema_version' is null`)),
      ),
    built: () =>
      within((db) => Number(one(db, `select count(*) as value from sqlite_master where name like '%built'`))),
    script: (text) => within((db) => db.exec(text)),
  };
}

function shortened(text: unknown): string {
  return createHash('sha256').update(String(text)).digest('hex');
}

/** Counts documents and writes a bundle for them; its id. */
export async function planNotes(
  options: RunnerOptions,
  source: Source,
  choices: { readonly isLazy?: boolean; readonly connections?: number } = {},
): Promise<string> {
  const drafted = await draftDocuments(
    options,
    documentEngine(dirname(options.root)),
    { types: 'documents.ts', type: 'note', to: '2', source },
    choices,
  );
  if (drafted.status === 'refused') throw new TypeError(JSON.stringify(drafted));
  if (drafted.outcome.status === 'refused') throw new TypeError(JSON.stringify(drafted.outcome));
  return drafted.migrationId;
}

/** Somebody who may allow it allows what `varve retire` would let go. */
export async function approveRetire(options: RunnerOptions, id: string): Promise<void> {
  const { privatePem, publicKey } = createKeyPair();
  const name = uniqueName('reviewer');
  const path = join(options.root, '..', `${name}.pem`);
  await writeFile(path, privatePem);
  const principal = `user:${name}`;
  const environments = ['dev'] as const;
  await registerKey(options.root, options.clock, { principal, publicKey, role: 'approver', environments });
  const signer = await readSigner(path);
  if ('code' in signer) throw new TypeError(signer.code);
  const approved = await approveMigration(options, id, { principal, grant: 'retire', signer });
  if (approved.status !== 'approved') throw new TypeError(JSON.stringify(approved));
}
