export { measureBaseline, type BaselineSubject } from './measure.ts';
export { protectedKeyFindings } from './protected-key.ts';
export { subjectOf } from './subject.ts';
