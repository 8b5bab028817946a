/** A value that JSON can hold: what findings, receipts and `--json` output are made of. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. Members are never undefined: leave a member out, or write null. */
export interface JsonObject {
  readonly [member: string]: Json;
}
