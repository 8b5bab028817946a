import { createHash } from 'node:crypto';

/** The names of a run's own tables: short, for names of a database are. */
export function workNames(run: string): Record<'built' | 'kept' | 'left', string> {
  const short = createHash('sha256').update(run).digest('hex').slice(0, 16);
  return {
    built: `document_${short}_built`,
    kept: `document_${short}_kept`,
    left: `document_${short}_left`,
  };
}
