/** Second-order sections, run forwards and backwards so that nothing moves in time. */

interface Section {
  readonly b: readonly [number, number, number];
  readonly a: readonly [number, number];
}

/**
 * Takes away what is slower than the cutoff. Two passes of a second-order Butterworth section: at the cutoff a quarter
 * of the power is left.
 *
 * Source: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
 */
export function highPass(samples: Float64Array, cutoffHz: number, rateHz: number): Float64Array {
  const section = highPassSection(cutoffHz, rateHz);
  return pass(pass(samples, section).toReversed(), section).toReversed();
}

function highPassSection(cutoffHz: number, rateHz: number): Section {
  const turn = (2 * Math.PI * cutoffHz) / rateHz;
  const alpha = Math.sin(turn) / Math.SQRT2;
  const scale = 1 + alpha;
  const edge = (1 + Math.cos(turn)) / 2 / scale;
  return { b: [edge, -2 * edge, edge], a: [(-2 * Math.cos(turn)) / scale, (1 - alpha) / scale] };
}

function pass(samples: Float64Array, { b, a }: Section): Float64Array {
  const [b0, b1, b2] = b;
  const [a1, a2] = a;
  const filtered = new Float64Array(samples.length);
  // As if the first value had stood for ever: no jump at the start.
  let x1 = samples[0] ?? 0;
  let x2 = x1;
  let y1 = 0;
  let y2 = 0;
  for (let at = 0; at < samples.length; at += 1) {
    const x = samples[at] ?? 0;
    const y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2;
    filtered[at] = y;
    x2 = x1;
    x1 = x;
    y2 = y1;
    y1 = y;
  }
  return filtered;
}

/**
 * The standard deviation of the noise under the spikes, by the median of absolute values, which rare spikes hardly move.
 *
 * Source: R. Quian Quiroga, Z. Nadasdy, Y. Ben-Shaul, "Unsupervised spike detection and sorting", 2004.
 */
export function noiseOf(samples: Float64Array): number {
  // A twelfth of the samples gives it to one or two in a hundred.
  const some = new Float64Array(Math.ceil(samples.length / 12));
  for (let at = 0; at < some.length; at += 1) some[at] = Math.abs(samples[12 * at] ?? 0);
  some.sort();
  return (some[Math.floor(some.length / 2)] ?? 0) / 0.6745;
}
