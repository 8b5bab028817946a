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

/** The files of a package. */
export const Listing = audit.imported('listing', {
  splitFrom: 'ingest',
  parents: [Package],
  columns: { files: t.integer() },
  parts: {
    file: part({ renamedFrom: 'ingest__file', key: { file: t.text() }, columns: { size_bytes: t.bigint() } }),
  },
  reads: { pkg: Package.columns('path') },
  make: async ({ pkg }, { files }) => {
    const listed = await files.list(pkg.path);
    const own = listed.filter(({ path }) => !path.startsWith('node_modules/'));
    return {
      files: own.length,
      parts: { file: own.map(({ path, sizeBytes }) => ({ file: path, size_bytes: BigInt(sizeBytes) })) },
    };
  },
});

/** What the files amount to: no file is looked at for it. */
export const Statistics = audit.computed('statistics', {
  splitFrom: 'ingest',
  parents: [Listing],
  columns: { bytes: t.bigint(), largest: t.text() },
  reads: { files: Listing.parts.file.columns('file', 'size_bytes').matching({ path: 'path' }) },
  make: ({ files }) => {
    const [largest] = files.toSorted((left, right) =>
      left.size_bytes === right.size_bytes
        ? left.file < right.file
          ? -1
          : 1
        : left.size_bytes > right.size_bytes
          ? -1
          : 1,
    );
    return {
      bytes: files.reduce((sum, { size_bytes }) => sum + size_bytes, 0n),
      largest: largest?.file ?? '',
    };
  },
});

/** What one sees of a package first. */
export const Thumbnail = audit.imported('thumbnail', {
  splitFrom: 'ingest',
  parents: [Package],
  columns: { license: t.text().nullable(), thumbnail: t.text() },
  reads: { pkg: Package.columns('path') },
  make: async ({ pkg }, { files }) => {
    const manifest = JSON.parse(await files.text(`${pkg.path}/package.json`)) as PackageJson;
    return {
      license: typeof manifest.license === 'string' ? manifest.license : null,
      thumbnail: (manifest.description ?? '').slice(0, 60),
    };
  },
});

/** Is it light enough? */
export const Verdict = audit.computed('verdict', {
  parents: [Statistics, Budget],
  columns: { fits: t.boolean(), spare_bytes: t.bigint() },
  reads: { weight: Statistics.columns('bytes'), budget: Budget },
  make: ({ weight, budget }) => ({
    fits: weight.bytes <= budget.bytes,
    spare_bytes: budget.bytes - weight.bytes,
  }),
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
