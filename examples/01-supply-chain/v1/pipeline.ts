import { sql, type Kysely } from 'kysely';
import { part, pipeline, t } from 'varve/pipeline';

export const audit = pipeline('audit');

/** What package-lock.json says is installed. */
export const Package = audit.manual('package', {
  key: { path: t.text() },
  columns: { name: t.text(), version: t.text(), integrity: t.text().nullable(), dev: t.boolean() },
});

/** Who decides what may be used fills this one. */
export const LicensePolicy = audit.manual('license_policy', {
  key: { license: t.text() },
  columns: { allowed: t.boolean(), note: t.text() },
});

/** What the package itself says, and every file it brings. */
export const Manifest = audit.imported('manifest', {
  parents: [Package],
  columns: { license: t.text().nullable(), has_install_script: t.boolean(), file_count: t.integer() },
  parts: { file: part({ key: { file: t.text() }, columns: { size_bytes: t.bigint() } }) },
  reads: { pkg: Package.columns('path') },
  make: async ({ pkg }, { files }) => {
    const manifest = JSON.parse(await files.text(`${pkg.path}/package.json`)) as PackageJson;
    const listed = await files.list(pkg.path);
    const own = listed.filter(({ path }) => !path.startsWith('node_modules/'));
    return {
      license: licenseOf(manifest),
      has_install_script: INSTALL_SCRIPTS.some((name) => manifest.scripts?.[name] !== undefined),
      file_count: own.length,
      parts: { file: own.map(({ path, sizeBytes }) => ({ file: path, size_bytes: BigInt(sizeBytes) })) },
    };
  },
});

/** May this package be used? */
export const LicenseVerdict = audit.computed('license_verdict', {
  parents: [Manifest],
  columns: { license: t.text().nullable(), allowed: t.boolean(), reason: t.text() },
  strict: 'observe',
  reads: { manifest: Manifest.columns('license') },
  makeWith: async (db) => {
    const { license } = await db.selectFrom('manifest').select('license').executeTakeFirstOrThrow();
    return judge(license, await policyFor(db, license));
  },
});

/** What each licence amounts to. */
export const Report = audit.computed('report', {
  parents: [LicensePolicy],
  columns: { packages: t.integer(), allowed: t.integer() },
  reads: {
    verdicts: LicenseVerdict.columns('license', 'allowed').matching({ license: 'license' }),
  },
  make: ({ verdicts }) => ({
    packages: verdicts.length,
    allowed: verdicts.filter(({ allowed }) => allowed).length,
  }),
});

interface PackageJson {
  readonly license?: string | { readonly type: string };
  readonly scripts?: Readonly<Record<string, string>>;
}

const INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall'];

function licenseOf({ license }: PackageJson): string | null {
  return (typeof license === 'object' ? license.type : license) ?? null;
}

interface Policy {
  readonly allowed: boolean;
  readonly note: string;
}

/** The read that nobody declared: it looks harmless, and every verdict depends on it. */
async function policyFor<D>(db: Kysely<D>, license: string | null): Promise<Policy | null> {
  const { rows } = await sql<Policy>`
    select allowed, note from audit.license_policy where license = ${license}`.execute(db);
  return rows[0] ?? null;
}

function judge(license: string | null, policy: Policy | null) {
  if (policy === null) return { license, allowed: false, reason: 'no policy names this licence' };
  return { license, allowed: policy.allowed, reason: policy.note };
}
