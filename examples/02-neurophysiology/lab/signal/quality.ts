/** What is known of a unit from its spike train alone. Times are samples from the start of the recording, rising. */

/** Spikes a second. */
export function firingRate(spikeCount: number, seconds: number): number {
  return spikeCount / seconds;
}

/** The part of the intervals between spikes that is shorter than the refractory time: a neuron has none. */
export function isiViolations(samples: readonly number[], refractorySamples: number): number {
  if (samples.length < 2) return 0;
  const short = samples.filter((sample, at) => at > 0 && sample - (samples[at - 1] ?? 0) < refractorySamples);
  return short.length / (samples.length - 1);
}

/** The part of the recording, cut into equal bins, in which the unit fires at all. */
export function presenceRatio(samples: readonly number[], sampleCount: number, bins: number): number {
  const seen = new Set(
    samples.map((sample) => Math.min(bins - 1, Math.floor((sample * bins) / sampleCount))),
  );
  return seen.size / bins;
}
