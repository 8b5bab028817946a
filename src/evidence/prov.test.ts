import { Parser, type Quad } from 'n3';
import jsonld from 'jsonld';
import { expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { sha256 } from './digest.ts';
import { provDocument } from './prov.ts';
import type { Receipt } from './receipt.ts';

const PROV = 'http://www.w3.org/ns/prov#';
const TYPE = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#type';
const [forward, back] = ['varve://run/one', 'varve://run/two'];
const [declaration, script, pre, approval] = ['migration.yml', 'forward.sql', 'pre', 'approval'].map((text) =>
  sha256(text),
);

const RECEIPT: Receipt = {
  run_receipt_version: 'v1',
  run_id: back ?? '',
  run_type: 'migration',
  direction: 'rollback',
  migration_id: 'PG-MIG-2026-05-12-01',
  outcome: 'committed',
  actor: { principal: 'svc:the runner', role: 'runner' },
  started_at: '2026-05-12T09:14:07.000Z',
  finished_at: '2026-05-12T09:14:08.000Z',
  environment: { name: 'dev', git_commit: null, params_digest: null, host: 'h' },
  inputs: [
    { path: 'migration.yml', digest: declaration ?? '' },
    { path: 'forward.sql', digest: script ?? '' },
    { path: 'copy.sql', digest: script ?? '' },
  ],
  outputs: [{ path: 'baselines/pre.json', digest: pre ?? '' }],
  bundle_digest: sha256('bundle'),
  plan_digest: sha256('plan'),
  approvals: [approval ?? ''],
  enforcement: { level: 'observed', layers: [], role: 'none' },
  validation: { status: 'pass', checks: [], findings: [] },
  rollback: { class: 'lossless', rung: null },
  rolls_back: forward ?? '',
  chain: { seq: 1, prev: sha256(''), digest: sha256('x') },
};

/** No loader, so that anything that is not in the document itself fails. */
async function quadsOf(receipt: Receipt): Promise<readonly Quad[]> {
  const text = await jsonld.toRDF(JSON.parse(canonicalJson(provDocument(receipt))) as object, {
    format: 'application/n-quads',
    documentLoader: () => Promise.reject(new Error('A provenance document needs no network.')),
  });
  return new Parser({ format: 'N-Quads' }).parse(text as string);
}

/** `subject predicate object`, the names of blank nodes left out and PROV written short. */
function lines(quads: readonly Quad[]): readonly string[] {
  const short = (term: Quad['subject'] | Quad['predicate'] | Quad['object']): string =>
    term.termType === 'BlankNode' ? '_' : term.value.replace(PROV, 'prov:').replace(TYPE, 'a');
  return quads
    .map(({ subject, predicate, object }) => [subject, predicate, object].map(short).join(' '))
    .sort();
}

it('M119 a provenance document expands offline to the statements of PROV-O', async () => {
  const agent = 'varve://agent/svc%3Athe%20runner';
  expect(lines(await quadsOf(RECEIPT))).toEqual(
    [
      `${declaration} a prov:Entity`,
      `${declaration} a prov:Plan`,
      `${declaration} urn:varve:term:path migration.yml`,
      `${script} a prov:Entity`,
      `${script} urn:varve:term:path forward.sql`,
      `${script} urn:varve:term:path copy.sql`,
      `${pre} a prov:Entity`,
      `${pre} urn:varve:term:path baselines/pre.json`,
      `${approval} a prov:Entity`,
      `${approval} urn:varve:term:path approval`,
      `${back} a prov:Activity`,
      `${back} prov:startedAtTime 2026-05-12T09:14:07.000Z`,
      `${back} prov:endedAtTime 2026-05-12T09:14:08.000Z`,
      `${back} urn:varve:term:migration PG-MIG-2026-05-12-01`,
      `${back} urn:varve:term:direction rollback`,
      `${back} urn:varve:term:outcome committed`,
      `${agent} a prov:Agent`,
      `${agent} urn:varve:term:principal svc:the runner`,
      ...[declaration, script, approval].flatMap((entity) => [
        `${back} prov:qualifiedUsage _`,
        '_ a prov:Usage',
        `_ prov:entity ${entity}`,
      ]),
      `${pre} prov:qualifiedGeneration _`,
      '_ a prov:Generation',
      `_ prov:activity ${back}`,
      `${back} prov:qualifiedAssociation _`,
      '_ a prov:Association',
      `_ prov:agent ${agent}`,
      `_ prov:hadPlan ${declaration}`,
      `${back} prov:qualifiedCommunication _`,
      '_ a prov:Communication',
      `_ prov:activity ${forward}`,
    ].sort(),
  );
});

it('M119 a relation hangs together: the usage of an entity is one of the run', async () => {
  const quads = await quadsOf(RECEIPT);
  const usages = quads.filter(({ predicate }) => predicate.value === `${PROV}qualifiedUsage`);
  const used = usages.map(
    ({ object }) =>
      quads.find(({ subject, predicate }) => subject.equals(object) && predicate.value === `${PROV}entity`)
        ?.object.value,
  );
  expect(new Set(used)).toEqual(new Set([declaration, script, approval]));
  const times = quads.filter(({ predicate }) => predicate.value.endsWith('AtTime'));
  for (const { object } of times)
    expect(object.termType === 'Literal' && object.datatype.value).toBe(
      'http://www.w3.org/2001/XMLSchema#dateTime',
    );
});

it('M43 a provenance document changes with whatever the receipt says of it', () => {
  const others: readonly Partial<Receipt>[] = [
    { run_id: 'varve://run/three' },
    { actor: { principal: 'user:ghost', role: 'runner' } },
    { started_at: '2026-05-12T09:14:06.000Z' },
    { outcome: 'rolled_back' },
    { approvals: [] },
    { outputs: [] },
    { rolls_back: 'varve://run/zero' },
    { inputs: RECEIPT.inputs.slice(1) },
  ];
  for (const other of others)
    expect(canonicalJson(provDocument({ ...RECEIPT, ...other } as Receipt))).not.toBe(
      canonicalJson(provDocument(RECEIPT)),
    );
});
