import { refusal, type Finding } from '../../base/index.ts';
import { countItem, quarantineLine, type BatchCounts } from '../batch.ts';
import type { Model } from '../model.ts';
import type { Version } from '../version.ts';
import { lineText } from './line-text.ts';
import { migrateWithin, type UnitOptions } from './migrate-within.ts';
import type { Unit } from './unit.ts';

/** What is done with each document. */
export interface UnitWork {
  readonly model: Model;
  readonly to: Version;
  readonly options: UnitOptions;
}

/** Bytes for the files of a run, in their order, and how many documents became what. */
export interface Written {
  readonly output: Uint8Array[];
  readonly quarantine: Uint8Array[];
  readonly beside: Uint8Array[];
  counts: BatchCounts;
}

/** Nothing written yet. */
export function nothingWritten(counts: BatchCounts): Written {
  return { output: [], quarantine: [], beside: [], counts };
}

/** Moves one document of a file, and adds what is to be written. */
export function migrateUnit(work: UnitWork, unit: Unit, written: Written): void {
  if (unit.isVerbatim === true && unit.bytes !== undefined) {
    written.output.push(unit.bytes, breakOf(unit));
    return;
  }
  if (unit.head !== undefined) written.output.push(unit.head);
  const { model, to, options } = work;
  const fault = faultOf(model, unit);
  const item =
    fault !== undefined || unit.bytes === undefined
      ? { status: 'quarantined' as const, findings: fault === undefined ? [] : [fault] }
      : migrateWithin(model, unit.bytes, to, options);
  if (item.status === 'quarantined') {
    written.quarantine.push(lineText(quarantineLine(unit.place, item.findings, unit.bytes)));
  } else {
    const isFirst = written.counts.documents === written.counts.quarantined;
    if (unit.lead !== undefined && !isFirst) written.output.push(unit.lead);
    written.output.push(item.bytes, breakOf(unit));
  }
  if (unit.foot !== undefined) written.output.push(unit.foot);
  if (item.status === 'migrated' && item.beside !== undefined) {
    written.beside.push(lineText({ place: unit.place, ...item.beside }));
  }
  written.counts = countItem(written.counts, item);
}

const LINE_BREAK = lineText('\n');

/** Nearly every line ends in the same one. */
function breakOf({ lineBreak }: Unit): Uint8Array {
  return lineBreak === '\n' ? LINE_BREAK : lineText(lineBreak);
}

function faultOf(model: Model, unit: Unit): Finding | undefined {
  const hint = 'Correct the document where it was written.';
  if (unit.bytes === undefined) {
    const reason = `more than ${model.limits.sizeBytes} bytes`;
    return refusal('document_too_large', model.name, { detail: { reason }, hint });
  }
  return unit.isCut === true
    ? refusal('json_invalid', model.name, { detail: { reason: 'the input ends here, or should have' }, hint })
    : undefined;
}
