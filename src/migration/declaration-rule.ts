/** What a declaration has to be beyond its schema, as a list of rules of one shape; none of them needs a store. */
import type { JsonObject } from '../base/index.ts';
import type { Declaration } from './declaration.ts';
import { parseMigrationId, type KindName } from './migration-id.ts';

/** Something that a rule does not accept, at a JSON Pointer of the declaration. */
export interface DeclarationFault {
  readonly pointer: string;
  readonly detail: JsonObject;
  readonly hint: string;
}

/** What the folder says that a declaration is. */
export interface Expected {
  readonly id: string;
}

type Rule = (declaration: Declaration, expected: Expected) => readonly DeclarationFault[];

/** All rules. */
export const RULES: readonly Rule[] = [
  fitsFolder,
  namesNoWildcard,
  allowsOrForbids,
  allowsNoSystemPart,
  hasWayBack,
  saysWhyNoWayBack,
  namesFilesOnce,
  hasFilesOfItsKind,
  coversFilesByPhases,
  namesOthers,
];

/** The id is the folder's name (M2); that the type fits the prefix is seen before. */
function fitsFolder({ migration_id: id }: Declaration, expected: Expected): readonly DeclarationFault[] {
  if (id === expected.id) return [];
  const hint = `Write migration_id: ${expected.id}, the name of the folder.`;
  return [{ pointer: '/migration_id', detail: { reason: 'id_differs_from_folder' }, hint }];
}

/** Every name of every list of scope. */
function scopeNames({ scope }: Declaration): readonly {
  readonly key: string;
  readonly name: string;
  readonly pointer: string;
}[] {
  return Object.entries(scope).flatMap(([key, names]) =>
    names.map((name, index) => ({ key, name, pointer: `/scope/${key}/${index}` })),
  );
}

/** A wildcard allows what nobody has seen (M17). */
function namesNoWildcard(declaration: Declaration): readonly DeclarationFault[] {
  return scopeNames(declaration)
    .filter(({ name }) => /[*%?]/u.test(name))
    .map(({ key, pointer }) => ({
      pointer,
      detail: { reason: 'wildcard', key },
      hint: 'Name each object: a wildcard allows what nobody has seen.',
    }));
}

/** A name is allowed or forbidden, not both (M17). */
function allowsOrForbids(declaration: Declaration): readonly DeclarationFault[] {
  return allowedNames(declaration)
    .filter(({ key, name }) => declaration.scope[key.replace('allowed_', 'forbidden_')]?.includes(name))
    .map(({ name, pointer }) => ({
      pointer,
      detail: { reason: 'allowed_and_forbidden', name },
      hint: 'Take the name out of one of the two lists.',
    }));
}

function allowedNames(declaration: Declaration): ReturnType<typeof scopeNames> {
  return scopeNames(declaration).filter(({ key }) => key.startsWith('allowed_'));
}

/** Schemas of varve and of the server; others of the server begin with `pg_`. */
const SYSTEM_SCHEMAS: readonly string[] = ['varve', 'varve_history', 'information_schema'];

/** What belongs to the whole server; an object list that begins with one of these words names such a thing. */
const SHARED_OBJECTS =
  /^(?:role|user|group|database|tablespace|event\s+trigger|publication|subscription|replication\b)/iu;

/** Nothing allows varve's own catalog, the server's, or what belongs to the whole server (M21). */
function allowsNoSystemPart(declaration: Declaration): readonly DeclarationFault[] {
  return allowedNames(declaration).flatMap(({ key, name, pointer }) => {
    const schema = name.split('.')[0] ?? '';
    const isSchema = key === 'allowed_schemas' || name.includes('.');
    if (isSchema && (SYSTEM_SCHEMAS.includes(schema) || schema.startsWith('pg_'))) {
      const hint = 'No scope can allow the catalog of varve or of the server.';
      return [{ pointer, detail: { reason: 'own_catalog', name }, hint }];
    }
    if (key !== 'allowed_objects' || !SHARED_OBJECTS.test(`${name} `)) return [];
    const hint =
      'No scope can allow roles, databases, tablespaces, event triggers or replication: change these by hand.';
    return [{ pointer, detail: { reason: 'shared_object', name }, hint }];
  });
}

/** Where a way back is required, there is one (M46); whether it does anything is for the kind to say. */
function hasWayBack({ requires_rollback: isRequired, artifacts }: Declaration): readonly DeclarationFault[] {
  if (!isRequired || artifacts.rollback.length > 0) return [];
  const hint = 'Name the files of the way back, or write requires_rollback: false and why.';
  return [{ pointer: '/artifacts', detail: { reason: 'rollback_missing' }, hint }];
}

/** Without a way back, the decision is recorded and something else protects the readers (M47). */
function saysWhyNoWayBack({
  requires_rollback: isRequired,
  approvals,
}: Declaration): readonly DeclarationFault[] {
  if (isRequired) return [];
  return (['reference', 'safety_strategy'] as const)
    .filter((key) => approvals[key] === undefined)
    .map((key) => ({
      pointer: '/approvals',
      detail: { reason: 'irreversible_unexplained', key },
      hint: `Write approvals.${key}: without a way back it is required.`,
    }));
}

/** A file is executed once, in one direction. */
function namesFilesOnce({ artifacts }: Declaration): readonly DeclarationFault[] {
  const { forward, rollback, attachments = [] } = artifacts;
  const seen = new Set(forward);
  const faults: DeclarationFault[] = [];
  for (const [key, paths] of Object.entries({ rollback, attachments })) {
    paths.forEach((path, index) => {
      if (seen.has(path)) {
        const hint = 'Name each file once: under forward, rollback or attachments.';
        faults.push({
          pointer: `/artifacts/${key}/${index}`,
          detail: { reason: 'file_named_twice', path },
          hint,
        });
      }
      seen.add(path);
    });
  }
  return faults;
}

const FILE_ENDINGS: Readonly<Partial<Record<KindName, string>>> = {
  postgis: '.sql',
  search: '.json',
  graph: '.cypher',
  pipeline: '.json',
  document: '.json',
  replica: '.json',
};

/** Files that are executed are of the kind's language. */
function hasFilesOfItsKind({ type, artifacts }: Declaration): readonly DeclarationFault[] {
  const ending = FILE_ENDINGS[type];
  if (ending === undefined) return [];
  return (['forward', 'rollback'] as const).flatMap((key) =>
    artifacts[key].flatMap((path, index) => {
      if (path.endsWith(ending)) return [];
      const hint = `A file that kind ${type} executes ends in ${ending}; what it reads goes to artifacts.attachments.`;
      return [
        { pointer: `/artifacts/${key}/${index}`, detail: { reason: 'file_of_another_kind', path }, hint },
      ];
    }),
  );
}

/** Phases, where they are written, take every forward file once and in its order; their queries belong to steps alone. */
function coversFilesByPhases({ artifacts, phases }: Declaration): readonly DeclarationFault[] {
  if (phases === undefined) return [];
  const faults: DeclarationFault[] = [];
  if (phases.map(({ file }) => file).join('\0') !== artifacts.forward.join('\0')) {
    const hint = 'Write one phase for each file of artifacts.forward, in the same order.';
    faults.push({ pointer: '/phases', detail: { reason: 'phases_differ_from_forward' }, hint });
  }
  phases.forEach(({ mode, check, compensate }, index) => {
    if (mode === 'nontransactional' || (check ?? compensate) === undefined) return;
    const hint =
      'Write check and compensate for a nontransactional phase only: a transaction is aborted as a whole.';
    faults.push({ pointer: `/phases/${index}`, detail: { reason: 'compensation_of_transaction' }, hint });
  });
  return faults;
}

/** What comes before or is replaced is another migration, and a real one. */
function namesOthers({
  migration_id: id,
  after = [],
  supersedes = [],
}: Declaration): readonly DeclarationFault[] {
  return Object.entries({ after, supersedes }).flatMap(([key, ids]) =>
    ids.flatMap((other, index) => {
      if (other !== id && parseMigrationId(other) !== undefined) return [];
      const reason = other === id ? 'names_itself' : 'no_such_day';
      const hint = 'Name another migration by its id.';
      return [{ pointer: `/${key}/${index}`, detail: { reason, id: other }, hint }];
    }),
  );
}
