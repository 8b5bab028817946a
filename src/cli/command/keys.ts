import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { refusal, systemClock, type Finding } from '../../base/index.ts';
import type { RegisteredKey } from '../../evidence/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { tableText, type CommandResult, type Style } from '../output.ts';
import { migrationsRoot } from '../runner.ts';
import { refusedResult } from '../walk-output.ts';

interface AddFlags {
  readonly new?: string;
  readonly public?: string;
  readonly role: RegisteredKey['role'];
  readonly in: readonly string[];
}

/** `varve keys list|add`: from files alone, no database is opened. */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve keys', 'varve keys add user:eve --new ~/.varve/eve.pem']);
  withExamples(
    command
      .command('list', { isDefault: true })
      .description('whose signatures count, where and when (the default)'),
    ['varve keys list --json'],
  ).action(act(list));
  withExamples(
    command
      .command('add')
      .description('register the public key of a principal; commit the register with your migrations')
      .argument('<principal>', 'who signs with it, such as user:eve')
      .option('--new <file>', 'make a new key and write its private part here, outside the project')
      .option('--public <file>', 'a public key that is there, as PEM')
      .addOption(
        new Option('--role <role>', 'what it signs').choices(['approver', 'runner']).default('approver'),
      )
      .addOption(
        new Option('--in <environments...>', 'where it counts')
          .choices(['dev', 'stage', 'prod'])
          .default(['dev', 'stage', 'prod'], 'all'),
      ),
    ['varve keys add user:eve --new ~/.varve/eve.pem', 'varve keys add user:bob --public bob.pem --in dev'],
  ).action(act(add));
}

async function list(context: Context): Promise<CommandResult> {
  const { readKeyRegister } = await import('../../migration/index.ts');
  const reading = await readKeyRegister(await rootOf(context));
  if (reading.status === 'refused') return refusedResult(reading.findings);
  const { keys } = reading.register;
  return { status: 'ok', fields: { keys }, text: (style) => keysText(style, keys) };
}

async function add(context: Context, principal: string, flags: AddFlags): Promise<CommandResult> {
  if ((flags.new === undefined) === (flags.public === undefined)) {
    const hint = 'Write --new FILE for a new key, or --public FILE for one that is there.';
    return refusedResult([usageFinding('one of --new and --public', hint)]);
  }
  const publicKey = await publicKeyOf(context, flags);
  if ('code' in publicKey) return refusedResult([publicKey]);
  const { KEY_REGISTER, registerKey } = await import('../../migration/index.ts');
  const registered = await registerKey(await rootOf(context), systemClock, {
    principal,
    publicKey,
    role: flags.role,
    environments: flags.in,
  });
  if (registered.status === 'refused') return refusedResult(registered.findings);
  const { key } = registered;
  return {
    status: 'ok',
    fields: { key, path: `migrations/${KEY_REGISTER}` },
    text: () => `${key.key_id} is a key of ${principal}, in migrations/${KEY_REGISTER}`,
  };
}

async function publicKeyOf(context: Context, flags: AddFlags): Promise<Uint8Array | Finding> {
  const { createKeyPair, readPublicKey } = await import('../../migration/index.ts');
  const path = resolve(context.io.workingDir, flags.new ?? flags.public ?? '');
  if (flags.new === undefined) return readPublicKey(path);
  const { privatePem, publicKey } = createKeyPair();
  try {
    // Never over a key that is there.
    await writeFile(path, privatePem, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unwritable';
    return refusal('key_invalid', flags.new, {
      detail: { reason },
      hint: 'Name a file that is not there yet, in a folder that is.',
    });
  }
  return publicKey;
}

async function rootOf(context: Context): Promise<string> {
  return migrationsRoot((await context.project()).dir);
}

function keysText(style: Style, keys: readonly RegisteredKey[]): string {
  if (keys.length === 0) return 'No key is registered. Add one: varve keys add PRINCIPAL --new FILE';
  return tableText(
    style,
    ['principal', 'role', 'in', 'from', 'until', 'key'].map((head) => ({ head })),
    keys.map(({ principal, role, environments, valid_from: from, valid_until: until, key_id: id }) => [
      principal,
      role,
      environments.join(', '),
      from,
      until ?? '',
      id,
    ]),
  );
}
