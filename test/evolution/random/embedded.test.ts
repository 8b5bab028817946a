import { withEmbedded } from '../../harness/index.ts';
import { randomCases } from './suite.ts';

withEmbedded('random evolutions', (given) => randomCases(given, 0.6));
