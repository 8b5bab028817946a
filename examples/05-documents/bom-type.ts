// CycloneDX, the bills of material of software, as a document type: versions 1.2 to 1.7.
//
// All steps are data. What a version brings is named with `introduce`, so that the way down takes it out and keeps it;
// components hold components, which is what `tree` is for.
import { defineDocument, op, step, type DocumentType, type JsonSchema, type Op } from 'varve/document';
import { installedSchema } from './installed.ts';

const SCHEMAS = ['@cyclonedx', 'cyclonedx-library', 'res', 'schema'] as const;
/** Those of 1.2 and 1.3 that take nothing they do not name, as the later ones do anyway. */
const STRICT = new Set(['1.2', '1.3']);
const SHARED = ['spdx', 'jsf-0.82', 'cryptography-defs'] as const;

/** The versions, the oldest first. */
export const BOM_VERSIONS = ['1.2', '1.3', '1.4', '1.5', '1.6', '1.7'] as const;

/** The schema of a version, with those that it refers to. */
function bomSchema(version: string): JsonSchema {
  const name = `bom-${version}${STRICT.has(version) ? '-strict' : ''}`;
  const schema = installedSchema(...SCHEMAS, `${name}.SNAPSHOT.schema.json`);
  const shared = SHARED.map((name) => {
    const file = `${name}.SNAPSHOT.schema.json`;
    return [
      name,
      { ...installedSchema(...SCHEMAS, file), $id: `http://cyclonedx.org/schema/${file}` },
    ] as const;
  });
  const definitions = schema['definitions'] as JsonSchema | undefined;
  return { ...schema, definitions: { ...definitions, ...Object.fromEntries(shared) } };
}

/** Ops on each component, those of which it is made included, and on the one that the bill is of. */
function eachComponent(...ops: readonly Op[]): readonly Op[] {
  const parts = [{ at: '/components', each: 'item' }] as const;
  return [op.tree('/metadata/component', parts, ops), op.tree('', parts, ops)];
}

const $schema = (from: string, to: string): Op =>
  op.convert('/$schema', {
    table: [
      [
        `http://cyclonedx.org/schema/bom-${from}.schema.json`,
        `http://cyclonedx.org/schema/bom-${to}.schema.json`,
      ],
    ],
  });

const licenses: readonly Op[] = [
  op.map('/licenses', [
    op.introduce('/acknowledgement'),
    op.inside('/license', [op.introduce('/acknowledgement')]),
  ]),
];

/** CycloneDX 1.2 to 1.7. */
export function bomType(): DocumentType<unknown> {
  return defineDocument('cyclonedx', {
    schema: bomSchema('1.7'),
    current: '1.7',
    version: { at: '/specVersion', missing: '1.2', order: 'semver' },
    versions: {
      '1.2': { schema: bomSchema('1.2') },
      '1.3': { schema: bomSchema('1.3'), adds: 'properties, evidence, compositions' },
      '1.4': { schema: bomSchema('1.4'), adds: 'external references of tools, vulnerabilities' },
      '1.5': { schema: bomSchema('1.5'), adds: 'tools are components' },
      '1.6': { schema: bomSchema('1.6'), adds: 'who says so of a license' },
      '1.7': { adds: 'nothing that these bills use' },
    },
    steps: [
      step('1.2', '1.3', [
        $schema('1.2b', '1.3a'),
        ...eachComponent(op.introduce('/properties'), op.introduce('/evidence')),
        op.inside('/metadata', [op.introduce('/properties'), op.introduce('/licenses')]),
        op.introduce('/compositions'),
      ]),
      step('1.3', '1.4', [
        $schema('1.3a', '1.4'),
        op.map('/metadata/tools', [op.introduce('/externalReferences')]),
        ...eachComponent(op.introduce('/releaseNotes'), op.introduce('/signature')),
        op.introduce('/vulnerabilities'),
        op.introduce('/signature'),
      ]),
      step('1.4', '1.5', [
        $schema('1.4', '1.5'),
        op.inside('/metadata', [
          op.rename('/tools', 'components'),
          op.nest(['components'], 'tools'),
          op.introduce('/lifecycles'),
        ]),
        op.map('/metadata/tools/components', [
          op.add('/type', 'application', { assumed: 'a tool said no type before 1.5' }),
          op.rename('/vendor', 'group'),
          op.introduce('/author'),
          op.introduce('/description'),
          op.introduce('/licenses'),
          op.introduce('/properties'),
        ]),
        op.introduce('/annotations'),
        op.introduce('/formulation'),
      ]),
      step('1.5', '1.6', [
        $schema('1.5', '1.6'),
        ...eachComponent(
          ...licenses,
          op.introduce('/authors'),
          op.introduce('/manufacturer'),
          op.introduce('/tags'),
          op.introduce('/omniborId'),
          op.introduce('/swhid'),
          op.introduce('/cryptoProperties'),
        ),
        op.map('/metadata/tools/components', licenses),
        op.introduce('/declarations'),
        op.introduce('/definitions'),
      ]),
      step('1.6', '1.7', [$schema('1.6', '1.7'), op.introduce('/citations')]),
    ],
    // The schemas take no field that they do not name.
    policy: { provenance: 'beside', residue: 'beside' },
  });
}
