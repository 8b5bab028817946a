/**
 * A document type: its versions, the steps between them and what becomes of documents that leave a choice.
 *
 * It is open for steps and snapshots until its first use, then sealed and checked as a whole. A type that does not hold
 * together refuses every document with the same findings.
 */
import { systemClock, type Clock, type Finding, type Json } from '../base/index.ts';
import { schemaDifferences } from './compat/change.ts';
import { checkCompat, type CompatMode, type CompatOptions, type CompatReport } from './compat/compat.ts';
import { coverCorpus, type Corpus, type CoverageOptions, type CoverageResult } from './coverage.ts';
import { readLazily, type DocumentStore, type LazyOptions, type LazyRead } from './lazy.ts';
import { planBetween, sealedError, validatorOf, DEFAULT_LIMITS } from './model.ts';
import type { Alias, EquivalentPaths, Model, Plan, Policy } from './model.ts';
import { migrateDocument, type CallOptions } from './migrate.ts';
import type { Outcome } from './outcome.ts';
import type { PathOptions } from './path.ts';
import { refusedRead, typedOutcome } from './read.ts';
import { ok, refused, type Refused, type Result } from './result.ts';
import {
  snapshotOf,
  type JsonSchema,
  type Output,
  type Schema,
  type Snapshot,
  type StandardSchemaV1,
} from './schema.ts';
import { brokenSnapshots, sealFindings } from './seal.ts';
import { edgesOf, step, type Step, type StepRef } from './step.ts';
import { migrateText, type TextOptions } from './text.ts';
import { compareVersions, versionField, type Version, type VersionRule } from './version.ts';

/** What a version added, for people. */
export interface VersionNote {
  readonly version: Version;
  readonly adds: string | undefined;
  readonly hasSnapshot: boolean;
}

/** How a document type is declared. */
export interface DocumentOptions<S> {
  /** Schema of the current version; the type of documents is inferred from it. */
  readonly schema: S;
  readonly current: Version;
  readonly version: VersionRule;
  readonly versions: Readonly<Record<Version, { readonly schema?: Schema; readonly adds?: string }>>;
  readonly steps?: readonly Step[];
  readonly equivalent?: EquivalentPaths;
  readonly aliases?: readonly Alias[];
  readonly policy?: Policy;
  readonly clock?: Clock;
}

/** Reads documents of any version and moves them to any other. */
export interface DocumentType<T> {
  readonly name: string;
  readonly current: Version;
  registerStep(step: Step): this;
  registerSnapshot(version: Version, schema: Schema): this;
  /** What refuses the type itself; empty when it holds together. Seals it. */
  findings(): readonly Finding[];
  getSnapshot(version: Version): Snapshot | undefined;
  /** Every version, the oldest first. */
  history(): readonly VersionNote[];
  /** A new document of the current version, checked. */
  create(value: object): Outcome<T>;
  getVersion(document: T): Version;
  detectVersion(document: unknown): Result<Version>;
  isMigrationNeeded(document: unknown, target?: Version): boolean;
  migrate(document: unknown, target?: Version, options?: CallOptions): Outcome<Json>;
  /** The same for the bytes of a JSON text, whose numbers and layout are kept. */
  migrateText(bytes: Uint8Array, target?: Version, options?: TextOptions): Outcome<Uint8Array>;
  /** Detects, migrates, validates, and returns the document as its type. */
  validateWithMigration(document: unknown, options?: CallOptions): Outcome<T>;
  path(from: Version, to: Version, options?: PathOptions): Result<readonly StepRef[]>;
  plan(from: Version, to: Version, options?: PathOptions): Result<Plan>;
  /** Whether readers of one version can read what writers of the other write. */
  compat(older: Version, newer: Version, mode: CompatMode, options?: CompatOptions): Result<CompatReport>;
  /** Reads one document of a store as the current version; writes it back if asked to. */
  read(store: DocumentStore, id: string, options?: LazyOptions): Promise<LazyRead | Refused | undefined>;
  /** What a move of a whole corpus would do, without writing anything. */
  coverage(corpus: Corpus, target?: Version, options?: CoverageOptions): Promise<CoverageResult | Refused>;
  /** The type as other functions of this area take it. Seals it. */
  model(): Result<Model>;
}

/**
 * Declares a document type.
 *
 * Errors: never throws; a type that does not hold together refuses every document, and `findings()` says why.
 * Example:
 * ```ts
 * import { defineDocument, op, step } from 'varve/document';
 * const trace = defineDocument('trace', {
 *   schema: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
 *   current: '1.0.0',
 *   version: { missing: '0.0.1', order: 'semver' },
 *   versions: { '0.0.1': {}, '1.0.0': { adds: 'title is called name' } },
 *   steps: [step('0.0.1', '1.0.0', [op.rename('/title', 'name')])],
 * });
 * const read = trace.validateWithMigration({ title: 'first' });
 * if (read.status === 'migrated') console.log(read.document.name); // first
 * ```
 */
export function defineDocument<const S extends StandardSchemaV1 | JsonSchema>(
  name: string,
  options: DocumentOptions<S>,
): DocumentType<Output<S>> {
  const draft: Draft = {
    name,
    options,
    steps: [...(options.steps ?? [])],
    schemas: new Map(Object.entries(options.versions).map(([version, { schema }]) => [version, schema])),
  };
  if (Object.hasOwn(options.versions, options.current)) draft.schemas.set(options.current, options.schema);
  return documentType<Output<S>>(draft);
}

interface Draft {
  readonly name: string;
  readonly options: DocumentOptions<Schema>;
  readonly steps: Step[];
  readonly schemas: Map<Version, Schema | undefined>;
}

function documentType<T>(draft: Draft): DocumentType<T> {
  let sealed: Result<Model> | undefined;
  const model = (): Result<Model> => (sealed ??= seal(draft));
  const open = (): void => {
    if (sealed !== undefined) throw sealedError(draft.name);
  };
  const field = versionField(draft.options.version);
  const detectVersion = (document: unknown): Result<Version> => {
    const detected = field.detect(document, draft.name);
    return detected.status === 'refused' ? detected : ok(detected.value.version);
  };
  const type: DocumentType<T> = {
    name: draft.name,
    current: draft.options.current,
    registerStep(step) {
      open();
      draft.steps.push(step);
      return this;
    },
    registerSnapshot(version, schema) {
      open();
      draft.schemas.set(version, schema);
      return this;
    },
    findings: () => withModel(model(), () => refused()).findings,
    getSnapshot: (version) => {
      const schema = draft.schemas.get(version);
      return schema === undefined ? undefined : snapshotOf(schema);
    },
    history: () => historyOf(draft, model()),
    create: (value) => withModel(model(), (sealed) => create<T>(sealed, value)),
    getVersion: (document) => {
      const version = detectVersion(document);
      return version.status === 'ok' ? version.value : draft.options.version.missing;
    },
    detectVersion,
    isMigrationNeeded: (document, target = draft.options.current) => {
      const version = detectVersion(document);
      return version.status === 'refused' || version.value !== target;
    },
    migrate: (document, target, options) =>
      withModel(model(), (sealed) => migrateDocument(sealed, document, target, options)),
    migrateText: (bytes, target, options) =>
      withModel(model(), (sealed) => migrateText(sealed, bytes, target, options)),
    validateWithMigration: (document, options) =>
      withModel(model(), (sealed) => readTyped<T>(sealed, document, options)),
    path: (from, to, options) => {
      const plan = type.plan(from, to, options);
      return plan.status === 'refused' ? plan : ok(plan.value.path);
    },
    plan: (from, to, options) =>
      withModel(model(), (sealed) => {
        const plan = planBetween(sealed, from, to, options);
        return plan.status === 'refused' ? plan : ok(plan.value.plan);
      }),
    compat: (older, newer, mode, options) =>
      withModel(model(), (sealed) => checkCompat(sealed, older, newer, mode, options)),
    read: async (store, id, options) =>
      withModel(model(), (sealed) => readLazily(sealed, store, id, options)),
    coverage: async (corpus, target = draft.options.current, options = {}) =>
      withModel(model(), (sealed) => coverCorpus(sealed, corpus, target, options)),
    model,
  };
  return type;
}

function withModel<R>(
  model: Result<Model>,
  use: (model: Model) => R,
): R | Extract<Result<Model>, { status: 'refused' }> {
  return model.status === 'refused' ? model : use(model.value);
}

function seal(draft: Draft): Result<Model> {
  const model = buildModel(draft);
  const findings = sealFindings(model, draft.steps);
  return findings.length > 0 ? refused(...findings) : ok(model);
}

/**
 * Compares two schemas that belong to no type yet. Fields that seem to have moved are taken to have: their ops are among
 * the suggested ones.
 */
export function compareSchemas(
  older: JsonSchema,
  newer: JsonSchema,
  mode: CompatMode,
  options: CompatOptions = {},
): Result<CompatReport> {
  const differences = schemaDifferences({ writer: older, reader: newer, isStrict: false });
  const ops = differences.flatMap(({ suggested }) => suggested);
  const model = buildModel({
    name: 'schema',
    options: {
      schema: newer,
      current: 'new',
      version: { missing: 'old', order: ['old', 'new'] },
      versions: {},
      policy: { provenance: 'beside', residue: 'beside' },
    },
    steps: [step('old', 'new', ops)],
    schemas: new Map<Version, Schema>([
      ['old', older],
      ['new', newer],
    ]),
  });
  const broken = brokenSnapshots(model);
  return broken.length > 0 ? refused(...broken) : checkCompat(model, 'old', 'new', mode, options);
}

function buildModel({ name, options, steps, schemas }: Draft): Model {
  const adds = (version: Version) => options.versions[version]?.adds;
  const versions = new Map(
    [...schemas].map(([version, schema]) => [
      version,
      { snapshot: schema === undefined ? undefined : snapshotOf(schema), adds: adds(version) },
    ]),
  );
  return {
    name,
    rule: options.version,
    field: versionField(options.version),
    current: options.current,
    beyond: new Set(
      [...versions.keys()].filter(
        (version) => compareVersions(options.version.order, version, options.current) > 0,
      ),
    ),
    versions,
    graph: {
      name,
      order: options.version.order,
      versions: new Set(versions.keys()),
      edges: steps.flatMap(edgesOf),
      equivalent: options.equivalent ?? [],
    },
    aliases: options.aliases ?? [],
    policy: options.policy ?? {},
    clock: options.clock ?? systemClock,
    limits: options.policy?.limits ?? DEFAULT_LIMITS,
    validators: new Map(),
    plans: [new Map(), new Map()],
    placesByVersion: new Map(),
  };
}

function historyOf({ options, schemas }: Draft, model: Result<Model>): readonly VersionNote[] {
  const { order } = options.version;
  const versions = [...schemas.keys()];
  const sorted = model.status === 'ok' ? versions.toSorted((a, b) => compareVersions(order, a, b)) : versions;
  return sorted.map((version) => ({
    version,
    adds: options.versions[version]?.adds,
    hasSnapshot: schemas.get(version) !== undefined,
  }));
}

function create<T>(model: Model, value: object): Outcome<T> {
  const versioned = model.field.write({ ...(value as Record<string, Json>) }, model.current);
  return versioned === undefined
    ? refused(refusedRead(model, []))
    : readTyped<T>(model, versioned, { auto: false });
}

function readTyped<T>(model: Model, document: unknown, options?: CallOptions): Outcome<T> {
  const outcome = migrateDocument(model, document, undefined, options);
  return typedOutcome<T>(model, outcome, validatorOf(model, model.current));
}
