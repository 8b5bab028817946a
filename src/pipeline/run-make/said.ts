/** So much of what the makes of one slice print is forwarded; the rest is read and dropped. */
const MOST_CHARS = 64 * 1024;
/** What an engine or an uncaught error says last. */
const TELLING = /^(?:\w*Error\b|FATAL ERROR)/u;

/** What a process prints, line by line; in bounds, however much it is. */
export class Said {
  readonly log: (message: string) => void;
  #rest = '';
  #left = MOST_CHARS;
  #telling = '';

  constructor(log: (message: string) => void) {
    this.log = log;
  }

  /** The line that says why the process ended, where one did. */
  get telling(): string {
    return this.#telling;
  }

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MOST_CHARS);
    for (const line of lines) this.#line(line);
  }

  /** What is left without an end of line. */
  end(): void {
    if (this.#rest !== '') this.#line(this.#rest);
    this.#rest = '';
  }

  #line(line: string): void {
    if (TELLING.test(line)) this.#telling = line;
    if (this.#left <= 0) return;
    this.#left -= line.length + 1;
    this.log(this.#left > 0 ? line : 'more is printed than is shown');
  }
}
