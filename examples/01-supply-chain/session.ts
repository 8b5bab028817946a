// A process that runs one command line after the other, as whoever started it asks. What a command prints reaches the
// terminal at once, and at its end whoever asked. One process for many commands, since starting one costs more than
// most commands do; it has to be a new one after an edit, since a module that is loaded stays as it was.
import { main } from '../../src/cli/main.ts';
import { processIo } from '../../src/cli/io.ts';

process.on('message', (argv) => {
  void run(argv as readonly string[]).then((ended) => process.send?.(ended));
});

async function run(argv: readonly string[]): Promise<{ readonly status: number; readonly output: string }> {
  const io = processIo();
  let output = '';
  const keeping =
    (write: (text: string) => void) =>
    (text: string): void => {
      output += text;
      write(text);
    };
  const status = await main(argv, { ...io, stdout: keeping(io.stdout), stderr: keeping(io.stderr) });
  return { status, output };
}
