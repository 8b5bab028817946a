/**
 * The numbered points of a run at which its state on disk or in the database has just changed, or is about to. Crash
 * tests kill the process at each of them, in a loop, and see it settle in one of the two good states with one receipt.
 *
 * The points of a step are hit once per step. Those named `undo` lie on the way of a run that is undone.
 */
export const FAULT_POINTS = [
  'F01_locked',
  'F02_intent_opened',
  'F03_ledger_opened',
  'F04_pre_stored',
  'F05_baselined',
  'F06_step_started',
  'F07_step_done',
  'F08_deciding',
  'F09_decided',
  'F10_observed',
  'F11_judged',
  'F12_ledger_row',
  'F13_committed',
  'F14_after_started',
  'F15_after_done',
  'F16_verified',
  'F17_receipt_announced',
  'F18_receipt_stored',
  'F19_ledger_closed',
  'F20_products_written',
  'F21_ledger_file',
  'F22_undo_announced',
  'F23_undo_row',
  'F24_undone',
] as const;

/** One of the lifecycle's own points. */
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Called at every point, with the kind's own points too. The command line kills the process here when told to. */
export type FaultHook = (point: string) => Promise<void>;
