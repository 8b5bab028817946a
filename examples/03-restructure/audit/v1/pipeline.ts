import { sql, type Kysely } from 'kysely';
import { part, pipeline, t } from 'varve/pipeline';

export const audit = pipeline('audit');

/** What is to be shipped. */
export const Package = audit.manual('package', {
  key: { path: t.text() },
  columns: { version: t.text() },
});

/** How much a package may weigh, by where it is to run. */
export const Budget = audit.manual('budget', {
  key: { target: t.text() },
  columns: { bytes: t.bigint() },
});

/** Everything about a package at once: its files, what they amount to, and what one sees of it first. */
export const Ingest = audit.imported('ingest', {
  parents: [Package],
  columns: {
    files: t.integer(),
    bytes: t.bigint(),
    largest: t.text(),
    license: t.text().nullable(),
    thumbnail: t.text(),
  },
  parts: { file: part({ key: { file: t.text() }, columns: { size_bytes: t.bigint() } }) },
  reads: { pkg: Package.columns('path') },
  make: async ({ pkg }, { files }) => {
    const listed = await files.list(pkg.path);
    const own = listed.filter(({ path }) => !path.startsWith('node_modules/'));
    const manifest = JSON.parse(await files.text(`${pkg.path}/package.json`)) as PackageJson;
    const [largest] = own.toSorted(
      (left, right) => right.sizeBytes - left.sizeBytes || (left.path < right.path ? -1 : 1),
    );
    return {
      files: own.length,
      bytes: own.reduce((sum, { sizeBytes }) => sum + BigInt(sizeBytes), 0n),
      largest: largest?.path ?? '',
      license: typeof manifest.license === 'string' ? manifest.license : null,
      thumbnail: (manifest.description ?? '').slice(0, 60),
      parts: { file: own.map(({ path, sizeBytes }) => ({ file: path, size_bytes: BigInt(sizeBytes) })) },
    };
  },
});

/** Is it light enough? */
export const Verdict = audit.computed('verdict', {
  parents: [Ingest],
  columns: { fits: t.boolean(), spare_bytes: t.bigint() },
  strict: 'observe',
  reads: { weight: Ingest.columns('bytes') },
  makeWith: async (db) => {
    const { bytes } = await db.selectFrom('weight').select('bytes').executeTakeFirstOrThrow();
    const budget = await serverBudget(db);
    return { fits: bytes <= budget, spare_bytes: budget - bytes };
  },
});

/** What people say to a verdict. */
export const Exception = audit.manual('exception', {
  parents: [Verdict],
  columns: { reason: t.text() },
});

interface PackageJson {
  readonly license?: unknown;
  readonly description?: string;
}

/** The read that nobody declared: one row of a table of parameters. */
async function serverBudget<D>(db: Kysely<D>): Promise<bigint> {
  const { rows } = await sql<{
    bytes: bigint;
  }>`select bytes from audit.budget where target = 'server'`.execute(db);
  return rows[0]?.bytes ?? 0n;
}
