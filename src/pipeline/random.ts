/**
 * Random numbers in [0, 1) from a text seed: the same key gives the same numbers on every machine.
 *
 * A generator of 128 bits of state (the sfc32 construction), seeded by four FNV-1a hashes of the text; good enough for
 * simulation and sampling, never for secrets.
 */
export function seededRandom(seed: string): () => number {
  let [a, b, c, counter] = [0, 1, 2, 3].map((lane) => fnv1a(`${String(lane)}:${seed}`)) as [
    number,
    number,
    number,
    number,
  ];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}
