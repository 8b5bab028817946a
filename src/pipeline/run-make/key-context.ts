import type { ObjectSettings, ObjectStore } from '../../store/index.ts';
import { contextFiles, type FileRead } from '../context-files.ts';
import type { Key } from '../key-source.ts';
import type { ContextFiles, MakeContext } from '../make-context.ts';
import { seededRandom } from '../random.ts';
import { keyText } from '../read-inputs.ts';
import type { RecordedRead } from '../write-rows.ts';
import type { FileAccess } from './make-runner.ts';

/** What the contexts of all keys of one table share. */
export interface Making {
  /** The name of the table: part of what random numbers are seeded with. */
  readonly table: string;
  readonly now: string;
  readonly log: (message: string) => void;
  readonly signal: AbortSignal;
  /** Opens the files of one key; what is read of them is added to the list. */
  readonly openFiles: (reads: RecordedRead[]) => ContextFiles;
}

/** The context of one key. A class, since one is made for every key: what a make does not ask for costs nothing. */
export class KeyContext implements MakeContext {
  readonly key: Key;
  readonly log: (message: string) => void;
  readonly now: string;
  readonly #making: Making;
  readonly #reads: RecordedRead[];
  #over: AbortController | undefined;
  #signal: AbortSignal | undefined;
  #random: (() => number) | undefined;
  #files: ContextFiles | undefined;

  constructor(making: Making, key: Key, reads: RecordedRead[]) {
    this.key = key;
    this.log = making.log;
    this.now = making.now;
    this.#making = making;
    this.#reads = reads;
  }

  get signal(): AbortSignal {
    return (this.#signal ??= AbortSignal.any([this.#making.signal, this.#timeOver().signal]));
  }

  get random(): () => number {
    return (this.#random ??= seededRandom(`${this.#making.table} ${keyText(this.key)}`));
  }

  get files(): ContextFiles {
    return (this.#files ??= this.#making.openFiles(this.#reads));
  }

  /** Ends the signal: the key's time is over. */
  expire(): void {
    this.#timeOver().abort();
  }

  #timeOver(): AbortController {
    return (this.#over ??= new AbortController());
  }
}

/** Opens files for one key; every access is added to `reads`. */
export function recordedFiles({ folder, objects }: FileAccess, reads: RecordedRead[]): ContextFiles {
  const record = (read: FileRead): void => void reads.push(fileRead(read));
  return contextFiles(folder, record, objects === undefined ? undefined : objectsOf(objects));
}

type Objects = Pick<ObjectStore, 'put' | 'read'>;
const objectsBySettings = new Map<string, Objects>();

/** The objects that settings name, opened once in this thread when they are first asked for. */
function objectsOf(settings: ObjectSettings): Objects {
  const name = JSON.stringify(settings);
  const known = objectsBySettings.get(name);
  if (known !== undefined) return known;
  let opened: Promise<ObjectStore> | undefined;
  const open = (): Promise<ObjectStore> => (opened ??= openObjects(settings));
  const objects: Objects = {
    put: async (content) => (await open()).put(content),
    read: async function* read(reference) {
      yield* (await open()).read(reference);
    },
  };
  objectsBySettings.set(name, objects);
  return objects;
}

/** The driver is named by whoever composed the program: pipelines know only its port. */
async function openObjects(settings: ObjectSettings): Promise<ObjectStore> {
  const driver = (await import(settings.module)) as {
    readonly openObjects: (settings: ObjectSettings) => Promise<ObjectStore>;
  };
  return driver.openObjects(settings);
}

function fileRead(read: FileRead): RecordedRead {
  return {
    subject: read.subject,
    declared: true,
    columns: [],
    keys: null,
    rowCount: 1,
    digestHex: Buffer.from(read.digest).toString('hex'),
  };
}
