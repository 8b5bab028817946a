export { closeRun, openRun, type Run, type RunEnvironment, type RunStart, type RunStatus } from './record.ts';
