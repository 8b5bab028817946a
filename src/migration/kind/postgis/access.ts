/**
 * Who may do what with the objects of user schemas, before and after a script: owners, privileges, row security, policies,
 * functions that act as their owner. What was there and lets more in afterwards is `policy_reduced` (M59); what the script
 * made itself reduces nothing, but a function that acts as its owner.
 */
import type { Finding } from '../../../base/index.ts';
import { sql, type Queryable } from '../../../store/index.ts';

/** One object with what guards it. */
interface Access {
  readonly key: string;
  readonly kind: 'relation' | 'schema' | 'function' | 'policy';
  /** `schema.table`, `schema`, `schema.function`; of a policy its table. */
  readonly name: string;
  readonly owner: string;
  /** Privileges as the server writes them; those of an object that has none are its defaults. */
  readonly privileges: string;
  /** Of a table, whether rows are guarded; of a function, whether it acts as its owner; of a policy, all of it. */
  readonly rule: string;
}

/** All of them, by key. */
export type AccessState = ReadonlyMap<string, Access>;

const USER_SCHEMAS = sql`n.nspname !~ '^(pg_|information_schema$|varve$)'`;

/** Reads it. */
export async function readAccess(queryable: Queryable): Promise<AccessState> {
  const rows = await queryable.query<Access & Record<string, unknown>>(
    sql.kept(sql`
    select 'r' || c.oid as key, 'relation' as kind, n.nspname || '.' || c.relname as name, c.relowner::text as owner,
      coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))::text as privileges,
      concat_ws(' ', case when c.relrowsecurity then 'guarded' end, case when c.relforcerowsecurity then 'forced' end) as rule
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${USER_SCHEMAS}
    union all
    select 's' || n.oid, 'schema', n.nspname, n.nspowner::text, coalesce(n.nspacl, acldefault('n', n.nspowner))::text, ''
    from pg_namespace n where ${USER_SCHEMAS}
    union all
    select 'f' || p.oid, 'function', n.nspname || '.' || p.proname, p.proowner::text,
      coalesce(p.proacl, acldefault('f', p.proowner))::text, case when p.prosecdef then 'definer' else '' end
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where ${USER_SCHEMAS} and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    union all
    select 'p' || p.oid, 'policy', n.nspname || '.' || c.relname, '', '',
      concat_ws(' ', p.polpermissive, p.polcmd, p.polroles::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace where ${USER_SCHEMAS}`),
  );
  return new Map(rows.map((row) => [row.key, row]));
}

/** What lets more in than before, each with how. */
export async function reducedPolicies(
  queryable: Queryable,
  before: AccessState,
  after: AccessState,
): Promise<readonly Finding[]> {
  const wider = await widerPrivileges(queryable, before, after);
  const found = [...after.values()].flatMap((now): readonly (readonly [string, string])[] => {
    const then = before.get(now.key);
    if (then === undefined) return madeReasons(now, before).map((reason) => [now.name, reason]);
    return [
      ...(now.owner === then.owner ? [] : ['owner_changed']),
      ...(wider.has(now.key) ? ['wider_grant'] : []),
      ...ruleReasons(then, now),
    ].map((reason) => [now.name, reason]);
  });
  const dropped = [...before.values()]
    .filter(({ key, kind, name }) => kind === 'policy' && !after.has(key) && hasRelation(after, name))
    .map(({ name }): readonly [string, string] => [name, 'policy_dropped']);
  const byName = Map.groupBy([...found, ...dropped], ([name]) => name);
  return [...byName]
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, reasons]) =>
      policyReduced(name, [...new Set(reasons.map(([, reason]) => reason))].toSorted()),
    );
}

/** The finding; text alone finds it too, before anything runs. */
export function policyReduced(subject: string, reasons: readonly string[]): Finding {
  return {
    code: 'policy_reduced',
    severity: 'review',
    subject,
    detail: { reasons: [...reasons] },
    hint: 'More may be done here than before. Let somebody who answers for it look at this.',
  };
}

function madeReasons({ kind, rule, name }: Access, before: AccessState): readonly string[] {
  if (kind === 'function' && rule === 'definer') return ['definer_function'];
  // A permissive policy lets rows through that were kept back before.
  const isGuarded = [...before.values()].some(
    (each) => each.kind === 'relation' && each.name === name && each.rule.includes('guarded'),
  );
  return kind === 'policy' && isGuarded && rule.startsWith('t ') ? ['policy_added'] : [];
}

function ruleReasons(then: Access, now: Access): readonly string[] {
  if (then.rule === now.rule) return [];
  if (now.kind === 'policy') return ['policy_changed'];
  if (now.kind === 'function') return now.rule === 'definer' ? ['definer_function'] : [];
  const lost = then.rule.split(' ').filter((word) => word !== '' && !now.rule.includes(word));
  return lost.length > 0 ? ['row_security_off'] : [];
}

function hasRelation(state: AccessState, name: string): boolean {
  return [...state.values()].some((each) => each.kind === 'relation' && each.name === name);
}

/** The objects whose privileges name somebody, or something, that they did not name before; the owner's own come with it. */
async function widerPrivileges(
  queryable: Queryable,
  before: AccessState,
  after: AccessState,
): Promise<ReadonlySet<string>> {
  const changed = [...after.values()].flatMap((now) => {
    const earlier = before.get(now.key);
    return earlier === undefined || earlier.privileges === now.privileges ? [] : [{ now, earlier }];
  });
  if (changed.length === 0) return new Set();
  const rows = await queryable.query<{ key: string }>(sql`
    select key from unnest(${changed.map(({ now }) => now.key)}::text[], ${changed.map(({ earlier }) => earlier.privileges)}::text[],
      ${changed.map(({ now }) => now.privileges)}::text[], ${changed.map(({ now }) => now.owner)}::oid[]) x (key, old, new, owner)
    where exists (
      select grantee, privilege_type, is_grantable from aclexplode(x.new::aclitem[]) where grantee <> x.owner
      except select grantee, privilege_type, is_grantable from aclexplode(x.old::aclitem[]))`);
  return new Set(rows.map(({ key }) => key));
}
