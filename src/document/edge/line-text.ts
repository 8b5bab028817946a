const encoder = new TextEncoder();

/** The bytes of a text, or of an object as a line of JSON. */
export function lineText(content: string | object): Uint8Array {
  return encoder.encode(typeof content === 'string' ? content : `${JSON.stringify(content)}\n`);
}
