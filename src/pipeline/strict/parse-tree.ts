/**
 * PostgreSQL's own parser, and the shape of what it gives.
 *
 * A node stands as `{ RangeVar: { relname: 'mouse' } }`; where the grammar allows one type only (`alias`, `withClause`,
 * `larg`, `rarg`, `typeName`) its fields stand there without that wrapper. Members that hold a default are left out:
 * an empty string is `{ String: {} }`. Locations are offsets into the text's UTF-8 bytes.
 */
import { isDeepStrictEqual } from 'node:util';
import { VarveError } from '../../base/index.ts';
import { isTree, type Tree } from '../../store/index.ts';

export {
  asNode,
  fieldsOf,
  isTree,
  listOf,
  namesOf,
  nodesBelow,
  stringConstant,
  textOf,
  type Node,
  type Tree,
} from '../../store/index.ts';

/** What parses a text into the wrapped nodes of its statements. */
export type Parse = (text: string) => readonly Tree[];

let loading: Promise<Parse> | undefined;

/** The parser, loaded at the first call: it is WebAssembly and costs some 10 ms. Its `Parse` throws `sql_invalid`. */
export function loadParser(): Promise<Parse> {
  loading ??= (async () => {
    const { hasSqlDetails, loadModule, parseSync } = await import('libpg-query');
    await loadModule();
    return (text) => {
      try {
        const { stmts } = parseSync(text);
        return (stmts ?? []).map(({ stmt }) => (stmt ?? {}) as unknown as Tree);
      } catch (error) {
        // The parser's message quotes the text, which may hold values.
        const position = hasSqlDetails(error) ? error.sqlDetails?.cursorPosition : undefined;
        throw new VarveError('sql_invalid', {
          detail: position === undefined ? {} : { position: position + 1 },
          hint: 'Correct the statement: PostgreSQL does not parse it.',
        });
      }
    };
  })();
  return loading;
}

/** What prints a wrapped statement as SQL; undefined where it cannot be printed without changing its meaning. */
export type Print = (statement: Tree) => string | undefined;

let loadingPrinter: Promise<Print> | undefined;

/**
 * The printer, loaded at the first call.
 *
 * What it prints is parsed again and compared, since it leaves out in silence what it does not know (such as WITH TIES).
 */
export function loadPrinter(): Promise<Print> {
  loadingPrinter ??= (async () => {
    const [{ deparseSync }, parse] = await Promise.all([import('pgsql-deparser'), loadParser()]);
    return (statement) => {
      try {
        const text = deparseSync(statement);
        return isDeepStrictEqual(withoutPlaces(parse(text)), withoutPlaces([statement])) ? text : undefined;
      } catch {
        // The printer throws bare errors at what it does not know; the caller takes the way without a text.
        return undefined;
      }
    };
  })();
  return loadingPrinter;
}

/** The tree without locations and without members that are left at nothing. */
function withoutPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(withoutPlaces);
  if (!isTree(value)) return value;
  const members = Object.entries(value).filter(([name, member]) => !PLACES.has(name) && member !== undefined);
  return Object.fromEntries(
    members
      .map(([name, member]): [string, unknown] => [name, withoutPlaces(member)])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const PLACES = new Set(['location', 'list_start', 'list_end', 'rexpr_list_start', 'rexpr_list_end']);

/** A wrapped node. */
export function node(type: string, fields: Tree): Tree {
  return { [type]: fields };
}

/** 1-based position in characters of a byte offset, as PostgreSQL counts. */
export function positionOf(text: string, byteOffset: number): number {
  // Every character has one byte that does not begin with the bits 10.
  return (
    Buffer.from(text, 'utf8')
      .subarray(0, byteOffset)
      .filter((byte) => (byte & 0xc0) !== 0x80).length + 1
  );
}
