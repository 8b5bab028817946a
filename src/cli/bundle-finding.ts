import type { Finding } from '../base/index.ts';
import { parseMigrationId } from '../migration/index.ts';

/** A bundle speaks of its own files by their names in it; here they are files of the project. */
export function inBundle(id: string, finding: Finding): Finding {
  const folder = `migrations/${parseMigrationId(id)?.kind ?? ''}/${id}`;
  const { file } = finding.detail;
  // What names its file in the detail speaks of something in it, such as a table.
  if (typeof file === 'string') {
    return { ...finding, detail: { ...finding.detail, file: `${folder}/${file}` } };
  }
  return { ...finding, subject: finding.subject === id ? folder : `${folder}/${finding.subject}` };
}
