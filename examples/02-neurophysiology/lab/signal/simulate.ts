/**
 * A tetrode in the cerebellum, simulated: neurons that fire at random with a refractory time, each with a waveform and a
 * strength on each channel of its own; under them a slow field potential, hum of the mains, and noise.
 *
 * What was planted is known, so what a sorter finds can be judged.
 */
import type { Signal } from './signal.ts';

/** What is simulated. */
export interface SimulateOptions {
  readonly rateHz: number;
  readonly seconds: number;
  readonly neurons: number;
  /** Whether the animal is shown something: its neurons fire more then. */
  readonly stimulated: boolean;
}

/** A recording with the truth about it. */
export interface Simulated extends Signal {
  readonly planted: readonly PlantedNeuron[];
}

/** One neuron: where its spikes have their troughs, in samples from the start, rising. */
export interface PlantedNeuron {
  readonly samples: readonly number[];
  /** Depth of its trough on its best channel, in microvolts. */
  readonly amplitudeUv: number;
}

export const CHANNELS = 4;
const NOISE_UV = 9;
const FIELD_UV = 120;
const HUM_UV = 20;
const REFRACTORY_SECONDS = 0.0025;

/** Simulates a recording; `random` gives numbers in [0, 1). */
export function simulate(random: () => number, options: SimulateOptions): Simulated {
  const { rateHz, seconds, neurons, stimulated } = options;
  const length = Math.round(rateHz * seconds);
  const channels = Array.from({ length: CHANNELS }, () => background(random, length, rateHz));
  const planted = Array.from({ length: neurons }, (_, index) => {
    const neuron = neuronAt(random, index, neurons);
    const ratePerSecond = (13.5 + 14 * random()) * (stimulated ? 1.1 : 1);
    const samples = spikeTrain(random, { ratePerSecond, length, rateHz });
    for (const sample of samples) {
      const gain = 1 + neuron.drift * (sample / length - 0.5) + 0.04 * normal(random);
      plant(channels, neuron, { sample, rateHz, gain });
    }
    return { samples, amplitudeUv: Math.max(...neuron.strengthByChannel) };
  });
  return { rateHz, channels, planted };
}

interface Neuron {
  readonly strengthByChannel: readonly number[];
  /** Width of the trough, in seconds. */
  readonly widthSeconds: number;
  /** Height of the hump after the trough, as a part of its depth. */
  readonly hump: number;
  /** How much it comes nearer, or goes away, from the start to the end: the tissue moves. */
  readonly drift: number;
}

/** Neurons lie around the tetrode, so that no two are seen alike by its four channels. */
function neuronAt(random: () => number, index: number, neurons: number): Neuron {
  const bearing = (2 * Math.PI * (index + 0.5 * random())) / neurons;
  const amplitudeUv = 110 + 110 * random();
  const strengthByChannel = Array.from({ length: CHANNELS }, (_, channel) => {
    const away = bearing - (2 * Math.PI * channel) / CHANNELS;
    return amplitudeUv * (0.25 + 0.75 * ((1 + Math.cos(away)) / 2) ** 2);
  });
  return {
    strengthByChannel,
    widthSeconds: 0.000_13 + 0.000_1 * random(),
    hump: 0.25 + 0.3 * random(),
    drift: 0.6 * (random() - 0.5),
  };
}

/** Poisson but for the refractory time after each spike; far enough from both ends for a whole waveform. */
function spikeTrain(
  random: () => number,
  {
    ratePerSecond,
    length,
    rateHz,
  }: { readonly ratePerSecond: number; readonly length: number; readonly rateHz: number },
): readonly number[] {
  const mean = 1 / ratePerSecond - REFRACTORY_SECONDS;
  const margin = Math.round(0.002 * rateHz);
  const samples: number[] = [];
  let at = margin;
  for (;;) {
    at += (REFRACTORY_SECONDS - mean * Math.log(1 - random())) * rateHz;
    if (at >= length - margin) return samples;
    samples.push(Math.round(at));
  }
}

interface Planting {
  readonly sample: number;
  readonly rateHz: number;
  readonly gain: number;
}

function plant(channels: readonly Float64Array[], neuron: Neuron, { sample, rateHz, gain }: Planting): void {
  const reach = Math.round(0.0015 * rateHz);
  for (let offset = -reach; offset <= reach; offset += 1) {
    const shape = gain * waveform(neuron, offset / rateHz);
    for (const [channel, strength] of neuron.strengthByChannel.entries()) {
      const samples = channels[channel];
      if (samples !== undefined)
        samples[sample + offset] = (samples[sample + offset] ?? 0) + strength * shape;
    }
  }
}

/** A trough of depth 1 at 0, and a wider hump after it. */
function waveform({ widthSeconds, hump }: Neuron, seconds: number): number {
  const trough = Math.exp(-((seconds / widthSeconds) ** 2));
  const after = Math.exp(-(((seconds - 3 * widthSeconds) / (1.6 * widthSeconds)) ** 2));
  return hump * after - trough;
}

function background(random: () => number, length: number, rateHz: number): Float64Array {
  const samples = new Float64Array(length);
  // Box and Muller give two numbers at a time.
  for (let at = 0; at < length; at += 2) {
    const [radius, angle] = [NOISE_UV * Math.sqrt(-2 * Math.log(1 - random())), 2 * Math.PI * random()];
    samples[at] = radius * Math.cos(angle);
    samples[at + 1] = radius * Math.sin(angle);
  }
  addWave(samples, { hz: 8, amplitudeUv: FIELD_UV, phase: 2 * Math.PI * random(), rateHz });
  addWave(samples, { hz: 50, amplitudeUv: HUM_UV, phase: 2 * Math.PI * random(), rateHz });
  return samples;
}

interface Wave {
  readonly hz: number;
  readonly amplitudeUv: number;
  readonly phase: number;
  readonly rateHz: number;
}

/** By turning a vector: a sine for each sample would take longer than all else. */
function addWave(samples: Float64Array, { hz, amplitudeUv, phase, rateHz }: Wave): void {
  const turn = (2 * Math.PI * hz) / rateHz;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  let x = amplitudeUv * Math.cos(phase);
  let y = amplitudeUv * Math.sin(phase);
  for (let at = 0; at < samples.length; at += 1) {
    samples[at] = (samples[at] ?? 0) + y;
    const next = x * cos - y * sin;
    y = x * sin + y * cos;
    x = next;
  }
}

/** A number of the standard normal distribution (Box and Muller). */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
