import { withPostgres } from '../../harness/index.ts';
import { randomCases } from './suite.ts';

withPostgres('random evolutions', 18, (given) => randomCases(given, { from: 0.6, to: 1 }));
