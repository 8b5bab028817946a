/** `notes.md`: what a reviewer has to find in it (M45, M47). */
import { refusal, type Finding } from '../base/index.ts';
import type { Bundle } from './bundle.ts';
import type { MigrationSettings } from './settings.ts';

const HEADINGS = ['Why', 'Risks', 'Rollout', 'Rollback', 'Rollback verification'] as const;
/** Of a backfill that is large. */
const LARGE_HEADINGS = ['Stages', 'Monitoring'] as const;

/** What `varve new` writes under a heading; as long as it stands there, nobody wrote anything. */
export const TO_DO = 'TODO';

/** The parts that the notes of a bundle lack: a heading, or something under it. */
export function notesFindings(bundle: Bundle, settings: MigrationSettings): readonly Finding[] {
  const bytes = bundle.files.find(({ path }) => path === 'notes.md')?.bytes ?? new Uint8Array();
  const parts = partsOf(new TextDecoder().decode(bytes));
  const { limits } = bundle.declaration;
  const isLarge = (limits['max_row_backfill'] ?? 0) >= settings.large.backfillRows;
  return [...HEADINGS, ...(isLarge ? LARGE_HEADINGS : [])]
    .filter((heading) => isBlank(parts.get(heading.toLowerCase())))
    .map((heading) =>
      refusal('notes_incomplete', 'notes.md', {
        detail: { heading, reason: parts.has(heading.toLowerCase()) ? 'empty' : 'missing' },
        hint: `Write the heading \`# ${heading}\` and under it what a reviewer has to know.`,
      }),
    );
}

/** What the notes say under a heading; empty where they say nothing yet. */
export function notesPart(bundle: Pick<Bundle, 'files'>, heading: string): string {
  const bytes = bundle.files.find(({ path }) => path === 'notes.md')?.bytes ?? new Uint8Array();
  const text = partsOf(new TextDecoder().decode(bytes)).get(heading.toLowerCase());
  return isBlank(text) ? '' : (text ?? '').trim();
}

/** The text under each heading, by the heading in small letters; fences and comments hold no headings. */
function partsOf(text: string): ReadonlyMap<string, string> {
  const parts = new Map<string, string>();
  let heading = '';
  let fence: string | undefined;
  for (const line of text.replaceAll(/<!--[\s\S]*?(?:-->|$)/gu, '').split(/\r?\n/u)) {
    const mark = /^ {0,3}(`{3,}|~{3,})/u.exec(line)?.[1];
    if (mark !== undefined && fence === undefined) fence = mark;
    else if (mark !== undefined && fence !== undefined && mark.startsWith(fence)) fence = undefined;
    const found =
      fence === undefined ? /^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$/u.exec(line)?.[1] : undefined;
    if (found !== undefined) heading = found.toLowerCase();
    parts.set(heading, `${parts.get(heading) ?? ''}${found === undefined ? `${line}\n` : ''}`);
  }
  return parts;
}

function isBlank(text: string | undefined): boolean {
  const written = (text ?? '').trim();
  return written === '' || written === TO_DO;
}
