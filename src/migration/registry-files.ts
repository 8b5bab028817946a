/**
 * `registry/schemas` and `registry/fixtures`: what artifacts look like, beside the bundles, for whoever checks them with other
 * tools (M29, M30). Both are written once; what is there is compared, never overwritten.
 *
 * A fixture's name is `<schema>.<what>.json`, or `.yml` for declarations; below `invalid/`, `<what>` is the keyword of the
 * schema or the reason of the rule that refuses it.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal, type Finding } from '../base/index.ts';
import { SCHEMAS, validateSchema, type SchemaName } from '../evidence/index.ts';
import { hasCode, makeFolder, writeDurable } from './durable.ts';
import { readIfThere } from './evidence-store.ts';
import { KIND_PREFIXES, parseMigrationId, type KindName } from './migration-id.ts';
import { readDeclaration } from './read-declaration.ts';
import { FIXTURES } from './registry-fixture.ts';
import { parseStrictJson } from './strict-json.ts';

/** Writes the schemas and fixtures that are not there yet. */
export async function writeRegistryFiles(root: string): Promise<void> {
  for (const [path, text] of Object.entries({ ...schemaFiles(), ...FIXTURES })) {
    const absolute = join(root, 'registry', path);
    if ((await readIfThere(absolute)) === undefined)
      await writeDurable(absolute, new TextEncoder().encode(text));
  }
  await makeFolder(join(root, 'registry'));
}

function schemaFiles(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(SCHEMAS).map(([name, schema]) => [
      `schemas/${name}.schema.json`,
      `${JSON.stringify(schema, null, 2)}\n`,
    ]),
  );
}

/** What is wrong with the schemas and fixtures of a project; nothing where it has none at all. */
export async function registryFileFindings(root: string): Promise<readonly Finding[]> {
  const [schemas, valid, invalid] = await Promise.all(
    ['schemas', 'fixtures/valid', 'fixtures/invalid'].map((folder) =>
      namesIn(join(root, 'registry', folder)),
    ),
  );
  if (schemas === undefined && valid === undefined && invalid === undefined) return [];
  return [
    ...(await schemaFindings(root)),
    ...(await fixtureFindings(root, 'valid', valid ?? [])),
    ...(await fixtureFindings(root, 'invalid', invalid ?? [])),
  ];
}

/** A published schema is the one of this release; the lines that a checkout gave other endings are equal. */
async function schemaFindings(root: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [path, text] of Object.entries(schemaFiles())) {
    const bytes = await readIfThere(join(root, 'registry', path));
    const found = bytes === undefined ? undefined : parseStrictJson(new TextDecoder().decode(bytes));
    const isSame =
      found !== undefined &&
      'value' in found &&
      JSON.stringify(found.value) === JSON.stringify(JSON.parse(text));
    if (!isSame) findings.push(fault(`registry/${path}`, bytes === undefined ? 'missing' : 'schema_changed'));
  }
  return findings;
}

async function fixtureFindings(
  root: string,
  wanted: 'valid' | 'invalid',
  names: readonly string[],
): Promise<readonly Finding[]> {
  const folder = `registry/fixtures/${wanted}`;
  const lacking = (Object.keys(SCHEMAS) as SchemaName[]).filter(
    (schema) => !names.some((name) => name.startsWith(`${schema}.`)),
  );
  const findings = lacking.map((schema) => fault(`${folder}/${schema}`, 'no_fixture'));
  for (const name of names) {
    const bytes = (await readIfThere(join(root, folder, name))) ?? new Uint8Array();
    const reasons = await faultsOf(name, new TextDecoder().decode(bytes));
    const reason = name.split('.').at(-2) ?? '';
    if (wanted === 'valid' && reasons.length > 0) findings.push(fault(`${folder}/${name}`, 'valid_refused'));
    if (wanted === 'invalid' && !reasons.includes(reason))
      findings.push(fault(`${folder}/${name}`, 'invalid_for_another_reason'));
  }
  return findings;
}

/** Why a fixture is refused, as keywords and reasons; none where it is valid. */
async function faultsOf(name: string, text: string): Promise<readonly string[]> {
  const schema = (Object.keys(SCHEMAS) as SchemaName[]).find((each) => name.startsWith(`${each}.`));
  if (schema === undefined) return ['no_schema'];
  if (name.endsWith('.yml')) return declarationFaults(text);
  const parsed = parseStrictJson(text);
  if ('reason' in parsed) return [parsed.reason];
  return (await validateSchema(schema, parsed.value)).map(({ keyword }) => keyword);
}

async function declarationFaults(text: string): Promise<readonly string[]> {
  const id = /^migration_id: (\S+)$/mu.exec(text)?.[1] ?? '';
  const kind = parseMigrationId(id)?.kind ?? 'other';
  const reading = await readDeclaration(text, { id, kind });
  if (reading.status === 'ok') return [];
  return reading.findings.flatMap(({ detail }) =>
    [detail['reason'], detail['keyword']].filter((each) => typeof each === 'string'),
  );
}

async function namesIn(folder: string): Promise<readonly string[] | undefined> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function fault(subject: string, reason: string): Finding {
  const hint =
    reason === 'schema_changed'
      ? 'Take it back: a published schema never changes, and a new version stands beside it.'
      : 'Take it back from version control, or remove registry/schemas and registry/fixtures and run `varve new` or `varve plan`.';
  return refusal('registry_invalid', subject, { detail: { reason }, hint });
}

/** The kinds that a declaration can be of, for fixtures of each. */
export const FIXTURE_KINDS: readonly KindName[] = Object.keys(KIND_PREFIXES) as KindName[];
