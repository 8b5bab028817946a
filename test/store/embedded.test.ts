import { embeddedStore } from '../../src/store/postgres/index.ts';
import { withEmbedded } from '../harness/index.ts';
import { storeConformance } from './conformance.ts';

withEmbedded('store', (given) => {
  storeConformance(given, undefined, () => embeddedStore({ folder: undefined }));
});
