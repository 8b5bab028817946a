/**
 * Counts what a client asks of a PostgreSQL server, whatever driver it uses: a relay in front of the server that reads
 * the messages on their way in.
 *
 * | message                            | bytes                                    | counted                            |
 * | ---------------------------------- | ---------------------------------------- | ---------------------------------- |
 * | startup, request for encryption    | length (4), body                         | no                                 |
 * | `Q`, a statement as text           | type (1), length of the rest (4), body   | yes                                |
 * | `S`, the end of a prepared request | type (1), length of the rest (4)         | yes: the client waits at this point |
 * | all others                         | type (1), length of the rest (4), body   | no                                 |
 *
 * Source: PostgreSQL's documentation, "Frontend/Backend Protocol", "Message Formats".
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A relay that counts. */
export interface RoundTrips extends AsyncDisposable {
  /** The server's address by way of the relay. */
  readonly url: string;
  /** How many times clients waited for the server since the start. */
  readonly count: () => number;
}

/** Opens a relay to the server of this URL on a free port. */
export async function countRoundTrips(serverUrl: string): Promise<RoundTrips> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let count = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const counter = createCounter(() => (count += 1));
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        if (from === client) counter(chunk);
        to.write(chunk);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => to.end());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(serverUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    count: () => count,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const TYPE_BYTES = 1;
const LENGTH_BYTES = 4;
const ENCRYPTION_REQUESTS: ReadonlySet<number> = new Set([80_877_103, 80_877_104]);
const WAITS: ReadonlySet<string> = new Set(['Q', 'S']);

/** Takes a connection's bytes as they come, in pieces of any size. */
function createCounter(found: () => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = started ? TYPE_BYTES : 0;
      if (rest.length < head + LENGTH_BYTES) return;
      const end = head + rest.readUInt32BE(head);
      if (rest.length < end) return;
      if (started && WAITS.has(String.fromCharCode(rest[0] ?? 0))) found();
      if (!started) started = !ENCRYPTION_REQUESTS.has(rest.readUInt32BE(LENGTH_BYTES));
      rest = rest.subarray(end);
    }
  };
}
