/** Spike sorting, whole: from a recording to units with their spikes. */
import { absorbSmall, kMeans, mergePieces, middleOf, principalComponents } from './cluster.ts';
import { BEFORE, detectSpikes, snippets, WINDOW } from './detect.ts';
import { highPass, noiseOf } from './filter.ts';
import type { Signal } from './signal.ts';

/** How to sort. */
export interface SortOptions {
  readonly cutoffHz: number;
  /** In units of the noise. */
  readonly threshold: number;
  /** Clusters to begin with: more than there are neurons. */
  readonly clusters: number;
  /** Clusters nearer than this, in units of the noise, become one; 0 leaves that to a person. */
  readonly mergeBelow: number;
  /** The spikes of smaller clusters, most of them two at once, go to the nearest; 0 leaves that to a person. */
  readonly leastSpikes: number;
}

/** What was found. */
export interface Sorted {
  /** Of each channel, in microvolts. */
  readonly noiseUv: readonly number[];
  /** Those with the most spikes first. */
  readonly units: readonly SortedUnit[];
}

/** One unit. */
export interface SortedUnit {
  readonly spikes: readonly SortedSpike[];
  readonly peakChannel: number;
  /** Its mean waveform: channel after channel, in units of the noise. */
  readonly template: readonly number[];
}

/** One spike. */
export interface SortedSpike {
  readonly sample: number;
  /** Depth of its trough on the channel where it is deepest, in units of the noise. */
  readonly depth: number;
}

const COMPONENTS = 6;
const NEARBY_SECONDS = 0.0004;

/** Sorts a recording; `random` gives numbers in [0, 1). */
export function sortSpikes(signal: Signal, options: SortOptions, random: () => number): Sorted {
  const { rateHz } = signal;
  const channels = signal.channels.map((samples) => highPass(samples, options.cutoffHz, rateHz));
  const noiseUv = channels.map(noiseOf);
  const nearby = Math.round(NEARBY_SECONDS * rateHz);
  const spikes = detectSpikes(channels, noiseUv, { threshold: options.threshold, nearby });
  const waveforms = snippets(channels, noiseUv, spikes);
  const points = principalComponents(waveforms, COMPONENTS);
  const pieces = mergePieces(points, kMeans(points, options.clusters, random), options.mergeBelow);
  const labels = absorbSmall(points, pieces, options.leastSpikes);
  const members = Map.groupBy(labels.keys(), (at) => labels[at] ?? 0);
  const units = [...members.values()]
    .toSorted((left, right) => right.length - left.length)
    .map((own) => unitOf(own, spikes, waveforms));
  return { noiseUv, units };
}

function unitOf(
  own: readonly number[],
  spikes: readonly number[],
  waveforms: readonly Float64Array[],
): SortedUnit {
  const template = middleOf(own.map((at) => waveforms[at] ?? new Float64Array()));
  const peakChannel = Math.floor(template.indexOf(Math.min(...template)) / WINDOW);
  return {
    spikes: own.map((at) => ({
      sample: spikes[at] ?? 0,
      depth: depthOf(waveforms[at] ?? new Float64Array()),
    })),
    peakChannel,
    template: [...template].map((value) => Math.round(100 * value) / 100),
  };
}

function depthOf(waveform: Float64Array): number {
  let depth = 0;
  for (let at = BEFORE; at < waveform.length; at += WINDOW) depth = Math.max(depth, -(waveform[at] ?? 0));
  return Math.round(100 * depth) / 100;
}
