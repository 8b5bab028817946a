// Makes every import of `varve` and `varve/...` reach the package that is running, wherever the importing file lies:
// a project's `varve.config.ts` then gets the same classes as the command line, and a checkout needs no build.
//
// The hook holds for one thread. Whoever starts another Node process or a worker that loads a project's files passes
// `--import` with the URL of this file.
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';

export const inCheckout = existsSync(new URL('../src/cli/main.ts', import.meta.url));

registerHooks({
  resolve(specifier, context, nextResolve) {
    if (specifier !== 'varve' && !specifier.startsWith('varve/')) return nextResolve(specifier, context);
    const conditions = inCheckout ? ['@varve/source', ...context.conditions] : context.conditions;
    return nextResolve(specifier, { ...context, conditions, parentURL: import.meta.url });
  },
});
