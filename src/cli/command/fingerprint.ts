import { Option, type Command } from 'commander';
import { refusal } from '../../base/index.ts';
import { fingerprint, type Fingerprint } from '../../provenance/index.ts';
import { withExamples, type Act } from '../command.ts';
import { countText, tableText, type Style } from '../output.ts';

interface FingerprintFlags {
  readonly schema?: string;
  readonly mode: 'strict' | 'logical';
}

/** `varve fingerprint` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve fingerprint',
    'varve fingerprint --schema lab --db postgres://localhost/lab --json',
  ])
    .option('--schema <name>', 'this schema only')
    .addOption(
      new Option('--mode <mode>', 'strict keeps the order of columns')
        .choices(['logical', 'strict'])
        .default('logical'),
    )
    .action(
      act(
        async (context, { schema, mode }: FingerprintFlags) => {
          const found = await fingerprint(await context.store(), {
            mode,
            ...(schema === undefined ? {} : { schema }),
          });
          if (schema !== undefined && found.schemas.length === 0) {
            const finding = refusal('unknown_table', schema, {
              detail: { reason: 'no schema of this name' },
              hint: 'Ask varve fingerprint for the schemas there are.',
            });
            return { status: 'refused', findings: [finding] };
          }
          return { status: 'ok', fields: { ...found }, text: (style) => fingerprintText(style, found) };
        },
        { db: true },
      ),
    );
}

function fingerprintText(style: Style, { algorithm, major, schemas, digest }: Fingerprint): string {
  const heads = [
    { head: 'schema' },
    { head: 'kind' },
    { head: 'objects', align: 'right' as const },
    { head: 'digest' },
  ];
  const lines = schemas.flatMap(({ schema, kinds }) =>
    kinds.map((line) => [
      schema || '(database)',
      line.kind,
      countText(line.objects),
      line.digest.slice(0, 19),
    ]),
  );
  return `${tableText(style, heads, lines)}\n\n${algorithm}, PostgreSQL ${major}\n${digest}`;
}
