/**
 * The provenance of a run as PROV, in JSON-LD (M43, M119): who did what with which files. It follows from the receipt alone,
 * so it cannot say anything else, and anyone writes it anew and compares.
 *
 * | PROV | here |
 * |---|---|
 * | entity | a file, named by its digest: inputs, outputs, approvals, the receipt's bundle |
 * | activity | the run, named by its id |
 * | agent | the principal that ran it |
 * | usage, generation | inputs and approvals, outputs |
 * | association | the agent, with the declaration as its plan |
 * | communication | the forward run informs the one that takes it back |
 *
 * The context stands in the document: whoever expands it needs no network. Relations are the qualified ones of PROV-O,
 * turned around by the context, so that each stands by itself.
 * Source: W3C PROV-O; W3C member submission PROV-JSONLD.
 */
import type { JsonObject } from '../base/index.ts';
import type { Artifact, Receipt } from './receipt.ts';

/** A provenance document. */
export interface ProvDocument extends JsonObject {
  readonly '@context': JsonObject;
  readonly '@graph': readonly JsonObject[];
}

const PROV = 'http://www.w3.org/ns/prov#';
const ID = { '@type': '@id' } as const;
const TIME = { '@type': 'xsd:dateTime' } as const;

/** A qualified relation: it hangs on the activity by `property`, and leads to a thing by `role`. */
function relation(type: string, property: string, subject: string, roles: readonly string[]): JsonObject {
  return {
    '@id': `prov:${type}`,
    '@context': {
      [subject]: { '@reverse': `prov:${property}`, '@type': '@id' },
      ...Object.fromEntries(
        roles.map((role) => [role, { '@id': ROLE_NAMES[role] ?? `prov:${role}`, ...ID }]),
      ),
    },
  };
}

const ROLE_NAMES: Readonly<Record<string, string>> = {
  plan: 'prov:hadPlan',
  informant: 'prov:activity',
};

/** The terms of the documents; kept here, and written into each. */
export const PROV_CONTEXT: JsonObject = {
  '@version': 1.1,
  prov: PROV,
  xsd: 'http://www.w3.org/2001/XMLSchema#',
  varve: 'urn:varve:term:',
  Entity: 'prov:Entity',
  Plan: 'prov:Plan',
  Activity: {
    '@id': 'prov:Activity',
    '@context': {
      startTime: { '@id': 'prov:startedAtTime', ...TIME },
      endTime: { '@id': 'prov:endedAtTime', ...TIME },
    },
  },
  Agent: 'prov:Agent',
  Usage: relation('Usage', 'qualifiedUsage', 'activity', ['entity']),
  Generation: relation('Generation', 'qualifiedGeneration', 'entity', ['activity']),
  Association: relation('Association', 'qualifiedAssociation', 'activity', ['agent', 'plan']),
  Communication: relation('Communication', 'qualifiedCommunication', 'informed', ['informant']),
  path: 'varve:path',
  principal: 'varve:principal',
  migration: 'varve:migration',
  direction: 'varve:direction',
  outcome: 'varve:outcome',
};

/** The provenance of a receipt's run. */
export function provDocument(receipt: Receipt): ProvDocument {
  const { run_id: activity, actor, inputs, outputs, approvals } = receipt;
  const agent = agentId(actor.principal);
  const declaration = inputs.find(({ path }) => path === 'migration.yml')?.digest;
  const used = unique([...inputs.map(({ digest }) => digest), ...approvals]);
  const generated = unique(outputs.map(({ digest }) => digest));
  return {
    '@context': PROV_CONTEXT,
    '@graph': [
      ...entities(
        [...inputs, ...outputs, ...approvals.map((digest) => ({ path: 'approval', digest }))],
        declaration,
      ),
      {
        '@type': 'Activity',
        '@id': activity,
        startTime: receipt.started_at,
        endTime: receipt.finished_at,
        migration: receipt.migration_id,
        direction: receipt.direction,
        outcome: receipt.outcome,
      },
      { '@type': 'Agent', '@id': agent, principal: actor.principal },
      ...used.map((entity) => ({ '@type': 'Usage', activity, entity })),
      ...generated.map((entity) => ({ '@type': 'Generation', entity, activity })),
      {
        '@type': 'Association',
        activity,
        agent,
        ...(declaration === undefined ? {} : { plan: declaration }),
      },
      ...(receipt.rolls_back === undefined
        ? []
        : [{ '@type': 'Communication', informed: activity, informant: receipt.rolls_back }]),
    ],
  };
}

/** One entity for each content, with every path that it had. */
function entities(files: readonly Artifact[], declaration: string | undefined): readonly JsonObject[] {
  return unique(files.map(({ digest }) => digest)).map((digest) => {
    const paths = unique(files.filter((file) => file.digest === digest).map(({ path }) => path));
    return {
      '@type': digest === declaration ? ['Entity', 'Plan'] : 'Entity',
      '@id': digest,
      path: paths.length === 1 ? (paths[0] ?? '') : paths,
    };
  });
}

/** A principal as an IRI; it may be any text. */
function agentId(principal: string): string {
  return `varve://agent/${encodeURIComponent(principal)}`;
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}
