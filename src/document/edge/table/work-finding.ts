import { refusal, type Finding } from '../../../base/index.ts';

/** Another run has the lock: named by what it wrote of itself. */
export function heldBy(place: string, first: string | undefined): Finding {
  return refusal('output_locked', place, {
    detail: { holder: first ?? null },
    hint: 'Wait for the run that writes these documents, or stop it: its lock goes with its process.',
  });
}

/** What is half done was made from something else. */
export function otherPlan(place: string): Finding {
  return refusal('plan_changed', place, {
    detail: { changed: 'the document type or its target' },
    hint: 'Finish or take back the run that was begun with the other one: its half was made from something else.',
  });
}
