// One command of the command line in a process of its own, as a user's shell starts it; what it prints reaches the
// terminal at once, and at the end whoever started it.
import { main } from '../../src/cli/main.ts';
import { processIo } from '../../src/cli/io.ts';

const io = processIo();
let output = '';
const keeping =
  (write: (text: string) => void) =>
  (text: string): void => {
    output += text;
    write(text);
  };

process.exitCode = await main(process.argv.slice(2), {
  ...io,
  stdout: keeping(io.stdout),
  stderr: keeping(io.stderr),
});
process.send?.(output, () => process.disconnect());
