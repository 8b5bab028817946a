import type typescript from 'typescript';

/** TypeScript's compiler API. */
export type TypeScript = typeof typescript;

/** Loads the compiler when it is needed first: it takes a quarter of a second, and most commands never need it. */
export async function loadTypeScript(): Promise<TypeScript> {
  return (await import('typescript')).default;
}
