import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { refusal } from '../../base/index.ts';
import { quoteIdentifier, sql, type Store } from '../../store/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { storeToWrite } from '../open-project-world.ts';
import type { CommandResult } from '../output.ts';
import { refusedResult } from '../walk-output.ts';

interface RolesFlags {
  readonly apply?: true;
}

/** `varve roles` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve roles > roles.sql',
    'varve roles --apply --db postgres://postgres@localhost/lab',
  ])
    .option('--apply', 'run it, as a superuser, and bring varve’s catalog into the database before')
    .action(act(run, { db: true }));
}

async function run(context: Context, { apply }: RolesFlags): Promise<CommandResult> {
  const store = await (apply === true ? storeToWrite(context) : context.store());
  if (!store.capabilities.restrictedRole) {
    const hint = 'Roles limit nothing in an embedded database: name a server with --store or --db.';
    return refusedResult([
      refusal('capability_missing', store.location, { detail: { capability: 'restrictedRole' }, hint }),
    ]);
  }
  const text = await rolesText(store);
  if (apply !== true) return { status: 'ok', fields: { sql: text }, text: () => text.trimEnd() };
  await store.script(text);
  const roles = ['varve_owner', 'varve_runner', 'varve_verify'];
  return {
    status: 'ok',
    fields: { roles },
    text: () =>
      'The roles are there. Set passwords for varve_runner and varve_verify (\\password in psql), and name their addresses by environment variables.',
  };
}

/** The script of the package; the store's own login, where it is no superuser, is let lend the owner. */
async function rolesText(store: Store): Promise<string> {
  const script = await readFile(new URL('../../../sql/roles.sql', import.meta.url), 'utf8');
  const [login] = await store.query<{ name: string; isSuper: boolean }>(
    sql`select rolname::text as name, rolsuper as "isSuper" from pg_roles where rolname = session_user`,
  );
  if (login === undefined || login.isSuper) return script;
  const name = quoteIdentifier(login.name);
  return `${script}
-- The login with which varve works lends the owner, and acts as it.
grant varve_owner to ${name} with admin option;
-- It lends the roles that own tables too: for each of these, grant ROLE to ${name} with admin option;
`;
}
