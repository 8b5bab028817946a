/**
 * What of a document type has shipped, by digest: documents that its steps wrote are out there, so a step or a snapshot that
 * changes is another one under the same name. As with numbered files of SQL, what is new comes behind.
 *
 * ```json
 * { "format": "document-lock/1", "name": "trace", "steps": { "0.0.1>1.0.0": "sha256:..." }, "snapshots": { "1.0.0": "sha256:..." } }
 * ```
 */
import { refusal, type Finding, type Json, type JsonObject } from '../base/index.ts';
import type { Digest } from '../evidence/index.ts';
import type { Model } from './model.ts';
import { isObject, valueDigest } from './value.ts';

/** `documents/<name>/lock.json`. */
export interface DocumentLock extends JsonObject {
  readonly format: 'document-lock/1';
  readonly name: string;
  readonly steps: Readonly<Record<string, Digest>>;
  /** Versions whose schema can be printed; a validator alone has no digest. */
  readonly snapshots: Readonly<Record<string, Digest>>;
}

/** The lock of a type as it is now. */
export function lockOf(model: Model): DocumentLock {
  const steps = model.graph.edges
    .filter(({ isForward }) => isForward)
    .map(({ from, to, step }): [string, Digest] => [`${from}>${to}`, step.digest]);
  const snapshots = [...model.versions].flatMap(([version, { snapshot }]): [string, Digest][] =>
    snapshot?.json === undefined ? [] : [[version, valueDigest(snapshot.json)]],
  );
  return {
    format: 'document-lock/1',
    name: model.name,
    steps: sorted(steps),
    snapshots: sorted(snapshots),
  };
}

function sorted(entries: readonly (readonly [string, Digest])[]): Readonly<Record<string, Digest>> {
  return Object.fromEntries(entries.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

/** What has shipped and is changed or gone. */
export function lockFindings(model: Model, locked: Json): readonly Finding[] {
  if (!isLock(locked)) {
    return [
      refusal('document_lock_changed', model.name, {
        detail: { changed: ['lock.json'] },
        hint: 'Bring back the lock.json that `varve document lock` wrote.',
      }),
    ];
  }
  const now = lockOf(model);
  const changed = (['steps', 'snapshots'] as const).flatMap((part) =>
    Object.entries(locked[part])
      .filter(([name, digest]) => now[part][name] !== digest)
      .map(([name]) => `${part === 'steps' ? 'step' : 'snapshot'} ${name}`),
  );
  if (changed.length === 0) return [];
  return [
    refusal('document_lock_changed', model.name, {
      detail: { changed },
      hint: 'Bring these back as they shipped, and describe the change as a new version with a step to it.',
    }),
  ];
}

function isLock(value: Json): value is DocumentLock {
  return (
    isObject(value) &&
    value['format'] === 'document-lock/1' &&
    isObject(value['steps']) &&
    isObject(value['snapshots'])
  );
}
