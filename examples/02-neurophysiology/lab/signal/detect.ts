/** Where a spike is, and what it looks like. */

/** How a spike is cut out: samples before its trough and after it. */
export const BEFORE = 4;
export const AFTER = 6;
/** Samples of one channel in one snippet. */
export const WINDOW: number = BEFORE + AFTER + 1;

/**
 * The samples at which some channel goes below `threshold` times its noise and no sample nearby goes further below.
 *
 * Units: `nearby` in samples, either way.
 */
export function detectSpikes(
  channels: readonly Float64Array[],
  noise: readonly number[],
  { threshold, nearby }: { readonly threshold: number; readonly nearby: number },
): readonly number[] {
  const depth = depthOf(channels, noise);
  const spikes: number[] = [];
  for (let at = BEFORE; at < depth.length - AFTER; at += 1) {
    const here = depth[at] ?? 0;
    if (here > threshold && isDeepest(depth, at, nearby)) spikes.push(at);
  }
  return spikes;
}

/** At each sample, how far the channel that is furthest below zero is below it, in units of its noise. */
function depthOf(channels: readonly Float64Array[], noise: readonly number[]): Float64Array {
  const depth = new Float64Array(channels[0]?.length ?? 0);
  for (const [channel, samples] of channels.entries()) {
    const scale = -1 / (noise[channel] ?? 1);
    for (let at = 0; at < depth.length; at += 1) {
      const value = scale * (samples[at] ?? 0);
      if (value > (depth[at] ?? 0)) depth[at] = value;
    }
  }
  return depth;
}

function isDeepest(depth: Float64Array, at: number, nearby: number): boolean {
  const here = depth[at] ?? 0;
  for (let offset = 1; offset <= nearby; offset += 1) {
    // Of two equal ones the first counts.
    if ((depth[at - offset] ?? 0) >= here || (depth[at + offset] ?? 0) > here) return false;
  }
  return true;
}

/** The waveforms at these samples, in units of the noise: channel after channel, `WINDOW` values each. */
export function snippets(
  channels: readonly Float64Array[],
  noise: readonly number[],
  spikes: readonly number[],
): readonly Float64Array[] {
  return spikes.map((spike) => {
    const snippet = new Float64Array(channels.length * WINDOW);
    for (const [channel, samples] of channels.entries()) {
      const scale = 1 / (noise[channel] ?? 1);
      for (let at = 0; at < WINDOW; at += 1) {
        snippet[channel * WINDOW + at] = scale * (samples[spike - BEFORE + at] ?? 0);
      }
    }
    return snippet;
  });
}
