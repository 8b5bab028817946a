/** Definitions of test/pipeline/command.test.ts. */
import { fileURLToPath } from 'node:url';
import { command, part, pipeline, t, type AnyTable, type Pipeline } from '../../../src/pipeline/index.ts';

/** Where the commands stand. */
export const MAKE_PY: string = fileURLToPath(new URL('make.py', import.meta.url));
const MAKE_MJS = fileURLToPath(new URL('make.mjs', import.meta.url));

/** The pipeline itself, to deploy it. */
export const commandLab: Pipeline = pipeline('outside');

const Scan = commandLab.manual('scan', {
  key: { id: t.bigint() },
  columns: {
    depth: t.double(),
    price: t.numeric(30, 10),
    bytes: t.bytea(),
    day: t.date(),
    text: t.text().nullable(),
  },
});

const made = {
  parents: [Scan] as const,
  columns: {
    big: t.bigint(),
    price: t.numeric(30, 10),
    half: t.double(),
    bytes: t.bytea(),
    day: t.date(),
    pid: t.integer(),
  },
  parts: { piece: part({ key: { n: t.integer() }, columns: { twice: t.bigint() } }) },
  reads: { scan: Scan },
};

const Once = commandLab.computed('once', {
  ...made,
  timeoutSeconds: 60,
  make: command(['python3', MAKE_PY]),
});

const Lines = commandLab.computed('lines', {
  ...made,
  timeoutSeconds: 60,
  make: command(['python3', MAKE_PY, 'lines'], { mode: 'lines' }),
});

const Late = commandLab.computed('late', {
  ...made,
  timeoutSeconds: 1,
  make: command(['python3', MAKE_PY]),
});

const Told = commandLab.computed('told', {
  parents: [Scan],
  columns: { told: t.json() },
  reads: { scan: Scan.columns('depth') },
  make: command([process.execPath, MAKE_MJS]),
});

const Absent = commandLab.computed('absent', {
  parents: [Scan],
  columns: { told: t.json() },
  reads: { scan: Scan },
  make: command(['no-such-program-of-varve', 'x']),
});

/** The tables by what their makes are. */
export const outside: Readonly<Record<'scan' | 'once' | 'lines' | 'late' | 'told' | 'absent', AnyTable>> = {
  scan: Scan,
  once: Once,
  lines: Lines,
  late: Late,
  told: Told,
  absent: Absent,
};
