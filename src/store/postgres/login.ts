import type { Store } from '../store.ts';
import { postgresStore, type PostgresOptions } from './server.ts';

/** A login of a server, to be used on any of its databases. */
export interface PostgresLogin {
  /**
   * Opens the database of this `Store.location`. The server is that of the login's own address.
   *
   * Errors: as `postgresStore`.
   */
  readonly open: (location: string) => Promise<Store>;
}

/** A login by its address; which database that names says nothing. */
export function postgresLogin(options: PostgresOptions): PostgresLogin {
  return {
    open: (location) => {
      const url = URL.canParse(options.url) ? new URL(options.url) : undefined;
      if (url !== undefined) url.pathname = new URL(location).pathname;
      return postgresStore({ poolSize: 1, ...options, url: url?.href ?? options.url });
    },
  };
}
