import { refusal, type Finding } from '../../base/index.ts';
import { sql, type Queryable } from '../../store/index.ts';

/** The space of a database in its object store: what `objectSettings` takes. Errors: a `StoreError` without a catalog. */
export async function objectSpace(store: Queryable): Promise<string> {
  return (await readSpace(store)).space;
}

/**
 * Says that this database is the one that deletes from its space: after it was moved, restored or upgraded, or where the
 * one it was copied from is gone. Returns whether it was not so already.
 */
export async function adoptObjects(store: Queryable): Promise<boolean> {
  const adopted = await store.execute(sql`
    update varve.object_space set owner = varve.database_identity() where owner <> varve.database_identity()`);
  return adopted > 0;
}

/** Nothing where objects are this database's own; a copy of a database must not delete what the original needs. */
export async function sharedObjects(store: Queryable): Promise<readonly Finding[]> {
  const { space, isOwn } = await readSpace(store);
  if (isOwn) return [];
  return [
    refusal('objects_shared', space, {
      detail: {
        reason: 'this database is a copy, or was moved; the one that the objects belong to may need them',
      },
      hint: 'Where the other one is gone, run `varve objects adopt`. Where both go on, copy the objects and give this one a folder or bucket of its own first.',
    }),
  ];
}

async function readSpace(store: Queryable): Promise<{ readonly space: string; readonly isOwn: boolean }> {
  const [row] = await store.query<{ space: string; is_own: boolean }>(sql`
    select space, owner = varve.database_identity() as is_own from varve.object_space`);
  return { space: row?.space ?? '', isOwn: row?.is_own === true };
}
