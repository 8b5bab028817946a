import { withEmbedded } from '../../harness/index.ts';
import { randomCases } from './suite.ts';

withEmbedded('random evolutions', (given) => randomCases(given, { from: 0, to: 0.6 }));
