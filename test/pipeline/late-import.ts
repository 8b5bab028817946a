/** Loaded by a make when it runs. */
export const late = true;
