/** What people wrote holds nothing that must not be kept: bundles and policies are scanned (M42, M124, M125). */
import type { Finding } from '../base/index.ts';
import { scanFindings, scanText } from '../evidence/index.ts';
import type { Bundle } from './bundle.ts';
import { folderReader } from './file-reader.ts';
import { DEFAULT_SETTINGS, type MigrationSettings } from './settings.ts';

/**
 * What the authored files of a bundle hold that they must not: secrets refuse, and so do positions in a restricted area.
 * Where no area is configured, a position wants a review.
 */
export async function scanBundle(
  bundle: { readonly files: readonly Pick<Bundle['files'][number], 'path' | 'bytes'>[] },
  settings: MigrationSettings = DEFAULT_SETTINGS,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const { restrictedAreas = [] } = settings;
  for (const { path, bytes } of bundle.files) {
    const text = new TextDecoder().decode(bytes);
    findings.push(...scanFindings(path, await scanText(text, { path, origin: 'authored', restrictedAreas })));
  }
  return findings;
}

/** The same of every file of a folder that people wrote, such as that of the policy; `name` is what findings call it. */
export async function scanFolder(
  folder: string,
  name: string,
  settings?: MigrationSettings,
): Promise<readonly Finding[]> {
  const reader = folderReader(folder);
  const paths = await reader.list('');
  const files = await Promise.all(
    paths.map(async (path) => ({
      path: `${name}/${path}`,
      bytes: (await reader.read(path)) ?? new Uint8Array(),
    })),
  );
  return scanBundle({ files }, settings);
}
