/**
 * One PostgreSQL server per version for a whole test run, started when the first test file asks for it. Test files run
 * in processes of their own, so they ask over a loopback address that vitest provides to them.
 */
import { createServer } from 'node:http';
import type { TestProject } from 'vitest/node';
import { startPostgis } from './postgis-server.ts';
import { startPostgres, type DatabaseServer } from './postgres-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly postgresBroker: string;
  }
}

type Running = AsyncDisposable & { readonly url: string };

function start(server: DatabaseServer): Promise<Running> {
  return server === 'postgis' ? startPostgis() : startPostgres({ version: server });
}

/** Called by vitest once per run; what it returns is called at the end. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const only = process.env['VARVE_TEST_STORES'];
  if (only !== undefined)
    console.info(`VARVE_TEST_STORES: only ${only} is tested, the other stores are left out`);

  const servers = new Map<DatabaseServer, Promise<Running>>();
  const broker = createServer((request, response) => {
    const wanted = request.url === '/postgis' ? 'postgis' : request.url === '/15' ? 15 : 18;
    let server = servers.get(wanted);
    if (server === undefined) servers.set(wanted, (server = start(wanted)));
    server.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve));
  const address = broker.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  project.provide('postgresBroker', `http://127.0.0.1:${address.port}`);

  return async () => {
    broker.close();
    await Promise.allSettled(
      [...servers.values()].map(async (server) => (await server)[Symbol.asyncDispose]()),
    );
  };
}
