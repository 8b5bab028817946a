import { postgresStore } from '../../src/store/postgres/index.ts';
import { withPostgres } from '../harness/index.ts';
import { storeConformance } from './conformance.ts';

for (const version of [15, 18] as const) {
  withPostgres('store', version, (given) => {
    const open = () => postgresStore({ url: given.url() });
    storeConformance(given, open, open);
  });
}
