import type { Pipeline } from '../../../src/pipeline/index.ts';
import { commandLab } from './command-lab.ts';

/** What threads load. */
const config: { readonly pipelines: readonly Pipeline[] } = { pipelines: [commandLab] };
export default config;
