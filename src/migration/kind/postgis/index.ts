export { postgisKind } from './kind.ts';
