export { measureBaseline, surveySubject, type BaselineSubject } from './measure.ts';
export { protectedKeyFindings } from './protected-key.ts';
export { isInScope, subjectOf } from './subject.ts';
