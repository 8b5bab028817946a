/** Whether every object that something names is there, and is what its name says. */
import { isVarveError, refusal, type Finding } from '../../base/index.ts';
import { sql, type ObjectStore, type Store } from '../../store/index.ts';
import { RefusedWork } from '../refused-work.ts';
import { collectNamed, NAMED } from './named.ts';
import { eachAtOnce } from './pin.ts';

/** How closely to look. */
export interface VerifyObjectsOptions {
  /** Reads every byte and holds it against the digest. Default: presence and size. */
  readonly content?: boolean;
  readonly signal?: AbortSignal;
}

/** What was looked at; findings name what is missing or damaged, and who needs it. */
export interface VerifyObjectsResult {
  readonly objects: number;
  readonly sizeBytes: number;
  readonly findings: readonly Finding[];
}

interface NamedObject {
  readonly digest: string;
  /** Null where history alone names it. */
  readonly sizeBytes: number | null;
  readonly by: readonly string[];
}

/** Looks at every named object. Errors: refuses with `structure_missing`; findings `object_missing`, `object_damaged`. */
export async function verifyObjects(
  store: Store,
  objects: ObjectStore,
  { content = false, signal }: VerifyObjectsOptions = {},
): Promise<VerifyObjectsResult> {
  const named = await loadNamed(store);
  if ('findings' in named) return { objects: 0, sizeBytes: 0, findings: named.findings };
  const findings: Finding[] = [];
  let count = 0;
  let sizeBytes = 0;
  await eachAtOnce(LOOKS_AT_ONCE, named.list, async (each) => {
    if (signal?.aborted === true) return;
    const fault = await faultOf(objects, each, content);
    if (fault !== undefined) findings.push(fault);
    count += 1;
    sizeBytes += each.sizeBytes ?? 0;
  });
  return {
    objects: count,
    sizeBytes,
    findings: findings.toSorted((left, right) => (left.subject < right.subject ? -1 : 1)),
  };
}

const LOOKS_AT_ONCE = 8;

async function loadNamed(
  store: Store,
): Promise<{ readonly list: readonly NamedObject[] } | { readonly findings: readonly Finding[] }> {
  try {
    return await store.transaction({}, async (transaction) => {
      const findings = await collectNamed(transaction);
      if (findings.length > 0) throw new RefusedWork(findings);
      const rows = await transaction.query<{
        digest: string;
        size: string | null;
        by: readonly string[];
      }>(sql`
        select digest, max(size_bytes)::text as size, array_agg(distinct namer order by namer) as by
        from ${NAMED} group by digest order by digest`);
      return {
        list: rows.map(({ digest, size, by }) => ({
          digest,
          sizeBytes: size === null ? null : Number(size),
          by,
        })),
      };
    });
  } catch (error) {
    if (error instanceof RefusedWork) return { findings: error.findings };
    throw error;
  }
}

async function faultOf(
  objects: ObjectStore,
  { digest, sizeBytes, by }: NamedObject,
  content: boolean,
): Promise<Finding | undefined> {
  const found = await objects.find(digest);
  if (found === undefined) {
    return refusal('object_missing', digest, {
      detail: { namedBy: by, location: objects.location },
      hint: 'Bring the object back from a backup, or check that `objects` in the configuration names the place where it was put.',
    });
  }
  const reason =
    sizeBytes !== null && found.sizeBytes !== sizeBytes
      ? 'its size is not the one that its reference says'
      : content
        ? await contentFault(objects, digest, found.sizeBytes)
        : undefined;
  if (reason === undefined) return undefined;
  return refusal('object_damaged', digest, {
    detail: { namedBy: by, location: objects.location, reason },
    hint: 'Bring the object back from a backup, or put the same content again: that replaces it.',
  });
}

async function contentFault(
  objects: ObjectStore,
  digest: string,
  sizeBytes: number,
): Promise<string | undefined> {
  try {
    for await (const piece of objects.read({ digest, sizeBytes })) void piece;
    return undefined;
  } catch (error) {
    if (!isVarveError(error, 'object_damaged')) throw error;
    return 'its content has another digest';
  }
}
