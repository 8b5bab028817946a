/** What a run would do, by text and catalog alone: nothing of the bundle is executed (M71). */
import { nearestName, refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import { redactJson } from '../../../evidence/index.ts';
import type { Queryable } from '../../../store/index.ts';
import type { Scope } from '../../declaration.ts';
import type { KindPlan, PlanContext } from '../../kind.ts';
import { scopeFindings } from '../../judge.ts';
import { readAccess } from './access.ts';
import { protectedKeyFindings, subjectOf, surveySubject } from './baseline/index.ts';
import { planConfinement } from './confine.ts';
import { driftFindings, readDrift } from './drift.ts';
import { enforcementOf } from './enforcement.ts';
import { guardPower } from './guard.ts';
import { invariantFaults } from './invariant.ts';
import { readLocks } from './lint/index.ts';
import {
  boundOf,
  besideEffects,
  misplacedFindings,
  phaseFaults,
  type BoundPhase,
} from './nontransactional.ts';
import { largeFindings, type BuiltIndex } from './large.ts';
import { namedObjects, type NamedObject } from './named.ts';
import { objectScopeFindings, type FreeObject } from './object-scope.ts';
import { searchPath } from './pins.ts';
import { isProtected, protectedTables, protectionOf, type Protection } from './protected.ts';
import { reducedByText } from './reduced-by-text.ts';
import { refusedConstructs, unknownConstructs } from './refuse.ts';
import { fullName, isTable, loadRelations, type Relation, type Relations } from './relation.ts';
import { rollbackClassOf } from './rollback-class.ts';
import { unwitnessedReasons } from './witnessable.ts';
import { readScripts, type ScriptPhase, type Statement } from './script.ts';

/** Plans one direction; the scripts of both are read, so that a way back that cannot run is known before the way there. */
export async function plan(context: PlanContext): Promise<KindPlan> {
  const { bundle, direction, transaction, settings, logins } = context;
  const { scope, limits, statements: allowed = [], invariants = [], requires_rollback } = bundle.declaration;
  const scripts = await readScripts(bundle);
  const phases = direction === 'rollback' ? scripts.rollback : scripts.forward;
  const relations = await loadRelations(transaction);
  const path = await searchPath(transaction, scope.allowed_schemas);
  const both = [...statementsOf(scripts.forward), ...statementsOf(scripts.rollback)];
  const named = resolveNames(namedObjects(statementsOf(phases)), relations, path);
  const back = resolveNames(namedObjects(statementsOf(scripts.rollback)), relations, path);
  const protection = protectionOf(scope, settings);
  const power = await guardPower(transaction, protectedTables(relations, protection));
  const tables = [...new Set(named.tables)].toSorted();
  const bound: JsonObject[] = [];
  for (const phase of phases)
    bound.push({ ...boundPhase(phase), ...(await boundBeside(transaction, phase)) });
  const subject = await subjectOf(transaction, scope, settings, relations);
  const survey = await surveySubject(transaction, subject);
  const drift = await readDrift(transaction, { scope, protection, now: survey });
  const { confinement, reasons } = logins.runner
    ? await planConfinement(transaction, scope, relations)
    : { reasons: [] };
  const unwitnessed = logins.verify
    ? await unwitnessedReasons(transaction, statementsOf(phases), allowed)
    : ['verify_login'];
  const isGuardable = confinement !== undefined || power.unguardable.length === 0;
  const enforcement = enforcementOf(
    { watches: confinement !== undefined || power.canWatch, denies: isGuardable ? [] : undefined },
    { confinement, isWitnessed: unwitnessed.length === 0 },
  );
  return {
    bound: {
      phases: bound,
      objects: named.free.map(({ kind, schema, name }) => ({ kind, schema, name })),
      catalog: { strict: survey.inScope.strictDigest, logical: survey.inScope.digest },
      protected: { schemas: protection.schemas, tables: protection.tables },
      limits,
      ...(confinement === undefined ? {} : { confinement }),
      ...(unwitnessed.length === 0 ? { witnessed: true } : {}),
    },
    tables: [],
    objects: tables,
    partOf: named.partOf,
    enforcement,
    measures: { max_table_count_touched: tables.length, max_index_count_delta: null, max_row_backfill: null },
    shown: {
      operations: await redactJson(statementsOf(phases).map(wordsOf)),
      estimates: estimatesOf(tables, relations),
      locks: await locksOf(phases, direction === 'rollback'),
      unguarded: isGuardable ? [] : power.unguardable,
      ...(drift.elsewhere.length === 0 ? {} : { drifted_elsewhere: drift.elsewhere }),
      ...(logins.verify ? { unwitnessed } : {}),
      ...(logins.runner ? { unconfined: reasons.slice(0, 20), unconfinedCount: reasons.length } : {}),
    },
    rollbackClass: rollbackClassOf(statementsOf(scripts.forward), statementsOf(scripts.rollback)),
    findings: [
      ...scripts.findings,
      ...unknownConstructs(allowed),
      ...refusedConstructs(both, allowed),
      ...phaseFindings(scripts.forward),
      ...phaseFaults(scripts.forward),
      ...misplacedFindings([...scripts.forward, ...scripts.rollback]),
      ...(requires_rollback ? wayBackFindings(scripts.rollback) : []),
      ...(await invariantFaults(invariants)),
      ...driftFindings(bundle.id, drift, context.environment),
      ...reducedByText(statementsOf(phases), { access: await readAccess(transaction), path }),
      ...largeFindings(settings, [], estimatedBuilds(bound as BoundPhase[], relations)),
      ...unknownNames(scope, { relations, both, path }),
      ...tables.filter((name) => isProtected(protection, name)).map(protectedFinding),
      ...objectScopeFindings(scope, named.free),
      ...(direction === 'forward' ? wayBackOutOfScope(scope, protection, untold(back, named)) : []),
      ...(await protectedKeyFindings(transaction, subject)),
    ],
  };
}

/** What the way there does not name: that is told already. */
function untold(back: Named, there: Named): Named {
  const bare = ({ kind, schema, name }: FreeObject): string =>
    `${kind} ${schema} ${name.replace(/\(.*$/su, '')}`;
  const told = new Set(there.free.map(bare));
  return {
    ...back,
    tables: back.tables.filter((name) => !there.tables.includes(name)),
    free: back.free.filter((each) => !told.has(bare(each))),
  };
}

/** A way back that leaves its scope would be refused when it is needed; so it is before the way there is taken (R2). */
function wayBackOutOfScope(scope: Scope, protection: Protection, back: Named): readonly Finding[] {
  const tables = [...new Set(back.tables)].toSorted();
  const findings = [
    ...scopeFindings(scope, tables, back.partOf),
    ...tables.filter((name) => isProtected(protection, name)).map(protectedFinding),
    ...objectScopeFindings(scope, back.free),
  ];
  return findings.map((finding) => ({ ...finding, detail: { ...finding.detail, rung: 'R2' } }));
}

/** Of a phase beside the transaction, what its statement does and the state before it are bound too. */
async function boundBeside(transaction: Queryable, phase: ScriptPhase): Promise<JsonObject> {
  return phase.mode === 'nontransactional' ? boundOf(transaction, phase) : {};
}

/** The statements of these files, in order. */
export function statementsOf(phases: readonly ScriptPhase[]): readonly Statement[] {
  return phases.flatMap(({ statements }) => statements);
}

/** A name as a person reads it: the first line of the statement. */
function wordsOf({ file, place, text }: Statement): string {
  const [line = ''] = text.split('\n');
  const words = line.length > 100 ? `${line.slice(0, 99)}…` : line;
  return `${file}:${String(place.line)}  ${words}`;
}

function boundPhase({ file, mode, check, compensate, statements }: ScriptPhase): JsonObject {
  return {
    file,
    mode,
    ...(check === undefined ? {} : { check }),
    ...(compensate === undefined ? {} : { compensate }),
    statements: statements.map(({ digest, kind, place }) => ({
      digest,
      kind,
      line: place.line,
      column: place.column,
    })),
  };
}

interface Named {
  /** `schema.table`, of existing tables and of those that will be made. */
  readonly tables: readonly string[];
  readonly partOf: Readonly<Record<string, string>>;
  readonly free: readonly FreeObject[];
}

/** Which objects the names stand for, by the path that a run will have. */
function resolveNames(named: readonly NamedObject[], relations: Relations, path: readonly string[]): Named {
  const byName = new Map([...relations.values()].map((each) => [fullName(each), each]));
  const created = new Set<string>();
  const tables: string[] = [];
  const free: FreeObject[] = [];
  const partOf: Record<string, string> = {};
  for (const each of named) {
    const { kind, use, name } = each;
    if (kind !== 'relation') {
      free.push({
        kind: kind === 'other' ? 'object' : kind,
        schema: each.schema ?? schemaFor(kind, path),
        name,
      });
      continue;
    }
    const schemas = each.schema === undefined ? path : [each.schema];
    const full = schemas.map((schema) => `${schema}.${name}`);
    const relation = full.map((candidate) => byName.get(candidate)).find((found) => found !== undefined);
    if (relation !== undefined) {
      const table = relations.get(relation.table) ?? relation;
      if (table.kind === 'S') free.push({ kind: 'sequence', schema: table.schema, name: table.name });
      else tables.push(fullName(table));
      noteRoot(partOf, table, relations);
      continue;
    }
    const own = full.find((candidate) => created.has(candidate)) ?? full[0];
    if (own === undefined || each.statement.kind === 'CreateSeqStmt') {
      free.push({ kind: 'sequence', schema: schemas[0] ?? '', name });
      continue;
    }
    if (use === 'creates') created.add(own);
    // What is named and not there fails when it runs, or the same bundle makes it under another kind of name.
    if (use === 'creates' || created.has(own)) tables.push(own);
  }
  return { tables, partOf, free: uniqueObjects(free) };
}

function schemaFor(kind: NamedObject['kind'], path: readonly string[]): string {
  return kind === 'schema' || kind === 'extension' ? '' : (path[0] ?? '');
}

function uniqueObjects(objects: readonly FreeObject[]): readonly FreeObject[] {
  const byWords = new Map(objects.map((each) => [`${each.kind} ${each.schema} ${each.name}`, each]));
  return [...byWords].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, each]) => each);
}

function noteRoot(partOf: Record<string, string>, table: Relation, relations: Relations): void {
  const root = table.root === null || table.root === table.oid ? undefined : relations.get(table.root);
  if (root !== undefined) partOf[fullName(table)] = fullName(root);
}

/** An allowed table that neither is there nor is made by the bundle is most likely written wrong (M18). */
function unknownNames(
  scope: Scope,
  about: {
    readonly relations: Relations;
    readonly both: readonly Statement[];
    readonly path: readonly string[];
  },
): readonly Finding[] {
  const there = [...about.relations.values()].filter((each) => isTable(each)).map(fullName);
  const made = namedObjects(about.both).flatMap(({ kind, use, schema, name }) =>
    kind === 'relation' && use === 'creates'
      ? (schema === undefined ? scope.allowed_schemas : [schema]).map((own) => `${own}.${name}`)
      : [],
  );
  // A table that is renamed has its new name later.
  const renamed = about.both.flatMap(({ kind, node }) =>
    kind === 'RenameStmt' && typeof node.fields['newname'] === 'string'
      ? scope.allowed_schemas.map((own) => `${own}.${String(node.fields['newname'])}`)
      : [],
  );
  const known = new Set([...there, ...made, ...renamed]);
  return scope.allowed_tables
    .filter(
      (name) =>
        !(name.includes('.') ? [name] : scope.allowed_schemas.map((schema) => `${schema}.${name}`)).some(
          (full) => known.has(full),
        ),
    )
    .map((name) => {
      const nearest = nearestName(
        name,
        name.includes('.') ? [...known] : [...known].map((full) => full.slice(full.indexOf('.') + 1)),
      );
      return refusal('unknown_object', name, {
        detail: nearest === undefined ? {} : { nearest },
        hint:
          nearest === undefined ? 'Take it out of scope.allowed_tables, or make it.' : `Write ${nearest}.`,
      });
    });
}

/** A transaction is aborted as a whole, a nontransactional step is not: so these come first (one deciding transaction). */
function phaseFindings(phases: readonly ScriptPhase[]): readonly Finding[] {
  const first = phases.findIndex(({ mode }) => mode === 'transactional');
  return phases.flatMap(({ file, mode }, index) =>
    mode === 'nontransactional' && first >= 0 && index > first
      ? [
          refusal('declaration_invalid', file, {
            detail: { reason: 'nontransactional_after_transactional' },
            hint: 'Put nontransactional phases first, or write two bundles and link them by after.',
          }),
        ]
      : [],
  );
}

const WITHOUT_EFFECT: readonly string[] = [
  'SelectStmt',
  'VariableShowStmt',
  'VariableSetStmt',
  'ExplainStmt',
  'NotifyStmt',
  'ListenStmt',
  'LockStmt',
];

/** A way back that does nothing is none (M46). */
function wayBackFindings(phases: readonly ScriptPhase[]): readonly Finding[] {
  if (statementsOf(phases).some(({ kind }) => !WITHOUT_EFFECT.includes(kind))) return [];
  return [
    refusal('rollback_missing', phases[0]?.file ?? 'rollback', {
      hint: 'Write the statements that lead back, or requires_rollback: false with the reason.',
    }),
  ];
}

function protectedFinding(name: string): Finding {
  return refusal('protected_domain_changed', name, {
    hint: 'Leave this table alone; what is protected is touched only with an approval that names it.',
  });
}

/** What each statement locks and rewrites, by its text. */
function locksOf(phases: readonly ScriptPhase[], isRollback: boolean): Promise<readonly JsonObject[]> {
  return readLocks(
    phases.map(({ file, mode, text }) => ({
      file,
      text,
      inTransaction: mode === 'transactional',
      isRollback,
    })),
  );
}

/** Steps beside the transaction cannot be judged before they ran: what they build is told by the planner's numbers. */
function estimatedBuilds(phases: readonly BoundPhase[], relations: Relations): readonly BuiltIndex[] {
  const byName = new Map([...relations.values()].map((each) => [fullName(each), each.estimatedRows]));
  return besideEffects(phases).built.map((table) => ({
    table,
    rows: Math.round(Math.max(0, byName.get(table) ?? 0)),
  }));
}

/** Planner numbers, marked as what they are (M71). */
function estimatesOf(tables: readonly string[], relations: Relations): readonly JsonObject[] {
  return [...relations.values()]
    .filter((each) => tables.includes(fullName(each)))
    .map((each) => ({
      table: fullName(each),
      estimatedRows: each.estimatedRows < 0 ? null : Math.round(each.estimatedRows),
    }))
    .toSorted((left, right) => (left.table < right.table ? -1 : 1));
}
