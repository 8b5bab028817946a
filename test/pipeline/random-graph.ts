import { part, pipeline, t, type AnyTable, type Pipeline } from '../../src/pipeline/index.ts';
import { sql } from '../../src/store/index.ts';

/** A graph of tables that a seed determines, and how often each make of it was called. */
export interface RandomGraph {
  readonly lab: Pipeline;
  readonly source: AnyTable;
  readonly policy: AnyTable;
  /** In dependency order. */
  readonly computed: readonly AnyTable[];
  readonly parts: readonly AnyTable[];
  /** By table and key; queries have none. */
  readonly calls: Map<string, number>;
}

interface Node {
  readonly name: string;
  readonly table: AnyTable;
  readonly key: readonly string[];
  /** The table from whose pieces the column `n` of its key comes. */
  readonly piece?: string | undefined;
}

type Values = Readonly<Record<string, unknown>>;

/** Chains, diamonds, whole reads, filled references, parts as parents; makes, queries and makeWith. */
export function randomGraph(schema: string, random: () => number): RandomGraph {
  const lab = pipeline(schema);
  const calls = new Map<string, number>();
  const source = lab.manual('source', {
    key: { id: t.integer() },
    columns: { v: t.integer(), choice: t.integer() },
  });
  const policy = lab.manual('policy', { key: { p: t.integer() }, columns: { v: t.integer() } });
  const nodes: Node[] = [{ name: 'source', table: source, key: ['id'] }];
  const computed: AnyTable[] = [];
  const parts: AnyTable[] = [];
  const count = 3 + Math.floor(random() * 5);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  for (let at = 0; at < count; at += 1) {
    const name = `t${String(at)}`;
    const parent = pick(nodes);
    const form = random();
    const called = (key: Values): void => {
      const id = `${name} ${JSON.stringify(key)}`;
      calls.set(id, (calls.get(id) ?? 0) + 1);
    };
    const values = (inputs: Values) => valuesOf(inputs, at);
    const columns = { v: t.integer(), choice: t.integer() };
    let table: AnyTable;
    let above = [parent.piece];
    if (form < 0.2) {
      const own = sql.join(parent.key.map((column) => sql.id(column)));
      table = define(lab, name, {
        parents: [parent.table],
        columns,
        reads: { one: parent.table },
        query: sql`select ${own}, (v * 3 + ${sql.raw(String(at))}) % 4 as v, v % 3 as choice from one`,
      });
    } else if (form < 0.4) {
      table = define(lab, name, {
        parents: [parent.table],
        columns,
        reads: { one: parent.table },
        makeWith: async (db: Reader, { key }: { key: Values }) => {
          called(key);
          const one = await db.selectFrom('one').select('v').executeTakeFirstOrThrow();
          return values({ one });
        },
      });
    } else {
      const other = random() < 0.5 ? pick(nodes) : undefined;
      const isDiamond =
        other !== undefined && other.name !== parent.name && random() < 0.6 && canMeet(parent, other);
      if (isDiamond) above = [parent.piece, other.piece];
      const isFilled = random() < 0.3;
      const key = isDiamond && other.key.length > parent.key.length ? other.key : parent.key;
      const hasParts = random() < 0.4 && !key.includes('n');
      table = define(lab, name, {
        parents: isDiamond ? [parent.table, other.table] : [parent.table],
        columns,
        ...(hasParts ? { parts: { piece: part({ key: { n: t.integer() }, columns }) } } : {}),
        ...(isFilled
          ? {
              references: {
                policy: policy.from({ p: (parent.table as unknown as Chooser).column('choice') as never }),
              },
            }
          : {}),
        reads: {
          one: parent.table,
          ...(isDiamond ? { two: other.table } : {}),
          ...(other !== undefined && !isDiamond ? { all: (other.table as unknown as Chooser).all() } : {}),
          ...(isFilled ? { policy } : {}),
        },
        make: async (inputs: Values, context: { key: Values }) => {
          called(context.key);
          await new Promise((resolve) => setTimeout(resolve, 1));
          const row = values(inputs);
          const piece = Array.from({ length: Number(context.key['id']) % 3 }, (_, n) => ({
            n,
            v: row.v + n,
            choice: n,
          }));
          return hasParts ? { ...row, parts: { piece } } : row;
        },
      });
      const piece = (table as unknown as { parts: Readonly<Record<string, AnyTable>> }).parts?.['piece'];
      if (piece !== undefined) {
        parts.push(piece);
        nodes.push({ name: `${name}__piece`, table: piece, key: [...key, 'n'], piece: name });
      }
    }
    computed.push(table);
    nodes.push({ name, table, key: table.spec.sourceKey, piece: above.find((piece) => piece !== undefined) });
  }
  return {
    lab,
    source,
    policy,
    computed,
    parts,
    calls,
  };
}

/** One definition cannot take `n` from the pieces of two tables. */
function canMeet({ piece: one }: Node, { piece: other }: Node): boolean {
  return one === undefined || other === undefined || one === other;
}

interface Chooser {
  readonly column: (name: string) => unknown;
  readonly all: () => unknown;
}

interface Reader {
  readonly selectFrom: (table: string) => {
    readonly select: (column: string) => { readonly executeTakeFirstOrThrow: () => Promise<Values> };
  };
}

/** The compiler's checks of a definition have nothing to say about one that a seed makes. */
function define(lab: Pipeline, name: string, options: object): AnyTable {
  return lab.computed(name, options as never);
}

/** Small numbers, so that a change above often leaves them as they are. */
function valuesOf(inputs: Values, salt: number): { readonly v: number; readonly choice: number } {
  let sum = salt;
  for (const value of Object.values(inputs)) {
    const rows = (Array.isArray(value) ? value : [value]) as readonly { v: number }[];
    for (const { v } of rows) sum = (sum * 5 + v) % 97;
  }
  return { v: sum % 4, choice: sum % 3 };
}
