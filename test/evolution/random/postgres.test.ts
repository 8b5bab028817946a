import { withPostgres } from '../../harness/index.ts';
import { randomCases } from './suite.ts';

withPostgres('random evolutions', 18, (given) => randomCases(given, 0.4));
