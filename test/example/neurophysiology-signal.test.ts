import { describe, expect, it } from 'vitest';
import { accuracyOf, sharedSpikes } from '../../examples/02-neurophysiology/lab/signal/accuracy.ts';
import {
  absorbSmall,
  kMeans,
  mergePieces,
  middleOf,
  principalComponents,
} from '../../examples/02-neurophysiology/lab/signal/cluster.ts';
import { curate } from '../../examples/02-neurophysiology/lab/signal/curate.ts';
import {
  BEFORE,
  detectSpikes,
  snippets,
  WINDOW,
} from '../../examples/02-neurophysiology/lab/signal/detect.ts';
import { highPass, noiseOf } from '../../examples/02-neurophysiology/lab/signal/filter.ts';
import {
  firingRate,
  isiViolations,
  presenceRatio,
} from '../../examples/02-neurophysiology/lab/signal/quality.ts';
import { packSamples, unpackSamples } from '../../examples/02-neurophysiology/lab/signal/signal.ts';
import { CHANNELS, normal, simulate } from '../../examples/02-neurophysiology/lab/signal/simulate.ts';
import { sortSpikes } from '../../examples/02-neurophysiology/lab/signal/sort.ts';
import { seededRandom } from '../../src/pipeline/random.ts';

const RATE_HZ = 10_000;
const OPTIONS = { rateHz: RATE_HZ, seconds: 5, neurons: 5, stimulated: false };

function wave(hz: number, length = RATE_HZ): Float64Array {
  return Float64Array.from({ length }, (_, at) => Math.sin((2 * Math.PI * hz * at) / RATE_HZ));
}

/** The greatest value away from both ends. */
function peak(samples: Float64Array): number {
  return Math.max(...samples.slice(1000, -1000).map(Math.abs));
}

function cloud(random: () => number, count: number, middle: readonly number[]): readonly Float64Array[] {
  return Array.from({ length: count }, () => Float64Array.from(middle, (value) => value + normal(random)));
}

describe('a stored signal', () => {
  it('comes back to within half a step, and is cut off at the ends of its range', () => {
    const channels = [Float64Array.of(0, 0.1, -100.25, 99_999), Float64Array.of(1, 2, 3, -99_999)];
    const packed = packSamples(channels);
    expect(packed).toHaveLength(16);
    const [left, right] = unpackSamples(packed, 2);
    expect([...left!]).toEqual([0, 0, -100.25, 8191.75]);
    expect([...right!]).toEqual([1, 2, 3, -8192]);
  });

  it('is read the same from the middle of another buffer', () => {
    const packed = packSamples([Float64Array.of(5, -5)]);
    const shifted = new Uint8Array([7, ...packed]).subarray(1);
    expect([...unpackSamples(shifted, 1)[0]!]).toEqual([5, -5]);
  });
});

describe('a simulated recording', () => {
  it('is the same for the same seed, and another for another', () => {
    const [one, two, other] = ['a', 'a', 'b'].map((seed) => simulate(seededRandom(seed), OPTIONS));
    expect(one).toEqual(two);
    expect(one!.planted).not.toEqual(other!.planted);
    expect(one!.channels).toHaveLength(CHANNELS);
  });

  it('has neurons that rest after each spike, and fire more when the animal is shown something', () => {
    const trains = (stimulated: boolean) =>
      Array.from({ length: 20 }, (_, at) =>
        simulate(seededRandom(String(at)), { rateHz: 2000, seconds: 10, neurons: 5, stimulated }),
      ).flatMap(({ planted }) => planted.map(({ samples }) => samples));
    const spontaneous = trains(false);
    expect(Math.max(...spontaneous.map((train) => isiViolations(train, 5)))).toBe(0);
    expect(trains(true).flat().length).toBeGreaterThan(spontaneous.flat().length);
  });
});

describe('the high-pass filter', () => {
  it('takes away what is slow and leaves what is fast', () => {
    expect(peak(highPass(wave(8), 300, RATE_HZ))).toBeLessThan(0.001);
    expect(peak(highPass(wave(300), 300, RATE_HZ))).toBeCloseTo(0.5, 2);
    expect(peak(highPass(wave(2000), 300, RATE_HZ)) / peak(wave(2000))).toBeCloseTo(1, 2);
    expect(peak(highPass(new Float64Array(RATE_HZ).fill(7), 300, RATE_HZ))).toBe(0);
  });

  it('moves nothing in time', () => {
    const impulse = new Float64Array(1001);
    impulse[500] = 1;
    const filtered = highPass(impulse, 300, RATE_HZ);
    expect(filtered.indexOf(Math.max(...filtered))).toBe(500);
    for (let away = 1; away < 50; away += 1) {
      expect(filtered[500 + away]).toBeCloseTo(filtered[500 - away]!, 6);
    }
  });
});

describe('the noise', () => {
  it('is measured under spikes', () => {
    const random = seededRandom('noise');
    const samples = Float64Array.from({ length: 60_000 }, () => 9 * normal(random));
    expect(noiseOf(samples)).toBeCloseTo(9, 0);
    for (let at = 0; at < samples.length; at += 100) samples[at] = -200;
    expect(noiseOf(samples) / 9).toBeGreaterThan(0.95);
    expect(noiseOf(samples) / 9).toBeLessThan(1.1);
  });
});

describe('detection', () => {
  const channels = [new Float64Array(200), new Float64Array(200)];
  for (const [channel, at, value] of [
    [0, 50, -10],
    [1, 52, -30],
    [0, 100, -20],
    [1, 150, -5],
    [0, 120, 40],
  ] as const) {
    channels[channel]![at] = value;
  }

  it('finds the deepest sample of each trough, on whichever channel', () => {
    const noise = [1, 2];
    expect(detectSpikes(channels, noise, { threshold: 4, nearby: 3 })).toEqual([52, 100]);
    expect(detectSpikes(channels, noise, { threshold: 4, nearby: 1 })).toEqual([50, 52, 100]);
    expect(detectSpikes(channels, noise, { threshold: 2, nearby: 3 })).toEqual([52, 100, 150]);
  });

  it('counts two equal samples side by side once, and nothing so near the end that it is cut', () => {
    const flat = new Float64Array(60);
    flat.set([-9, -9], 30);
    flat[1] = -9;
    expect(detectSpikes([flat], [1], { threshold: 4, nearby: 4 })).toEqual([30]);
  });

  it('cuts out what is around a spike, in units of the noise', () => {
    const [snippet] = snippets(channels, [1, 2], [52]);
    expect(snippet).toHaveLength(2 * WINDOW);
    expect(snippet![BEFORE - 2]).toBe(-10);
    expect(snippet![WINDOW + BEFORE]).toBe(-15);
  });
});

describe('clustering', () => {
  const random = seededRandom('clouds');
  const points = [
    ...cloud(random, 60, [0, 0, 0]),
    ...cloud(random, 40, [20, 0, 0]),
    ...cloud(random, 30, [0, 30, 0]),
    ...cloud(random, 3, [15, 15, 15]),
  ];
  /** Sizes of the clusters, in the order in which their first point stands. */
  const sizes = (labels: Int32Array): readonly number[] =>
    [...Map.groupBy(labels, (label) => label).values()].map((own) => own.length);

  it('finds the direction in which points vary most', () => {
    const line = Array.from({ length: 11 }, (_, at) => Float64Array.of(3 * (at - 5), 4 * (at - 5), 0));
    const along = principalComponents(line, 2);
    for (const [at, [x, y]] of line.entries()) {
      expect(Math.abs(along[at]![0]!)).toBeCloseTo(Math.hypot(x!, y!), 9);
    }
    expect(Math.max(...along.map(([, second]) => Math.abs(second!)))).toBeLessThan(1e-6);
  });

  it('finds clouds that lie apart', () => {
    const apart = points.slice(0, 130);
    expect(sizes(kMeans(apart, 3, seededRandom('k')))).toEqual([60, 40, 30]);
  });

  it('puts pieces of one cloud together and keeps clouds apart', () => {
    const labels = mergePieces(points, kMeans(points, 12, seededRandom('k')), 8);
    expect(sizes(labels)).toEqual([60, 40, 30, 3]);
    expect(sizes(absorbSmall(points, labels, 10))).toHaveLength(3);
    expect(Math.max(...absorbSmall(points, labels, 10))).toBe(2);
    expect(sizes(absorbSmall(points, labels, 1000))).toEqual([60, 40, 30, 3]);
  });

  it('takes the middle of a cloud where a few points lie far off', () => {
    expect([...middleOf([0, 1, 2, 900, 1].map((value) => Float64Array.of(value, 5)))]).toEqual([1, 5]);
  });
});

describe('sorting', () => {
  it('finds the neurons that were planted', () => {
    for (const seed of ['one', 'two', 'three']) {
      const signal = simulate(seededRandom(seed), OPTIONS);
      const stored = unpackSamples(packSamples(signal.channels), CHANNELS);
      const { units, noiseUv } = sortSpikes(
        { rateHz: RATE_HZ, channels: stored },
        { cutoffHz: 300, threshold: 4.5, clusters: 12, mergeBelow: 6, leastSpikes: 25 },
        seededRandom('sort'),
      );
      const { planted, sorted, found, matched } = accuracyOf(
        signal.planted.map(({ samples }) => samples),
        units.map(({ spikes }) => spikes.map(({ sample }) => sample)),
        4,
      );
      expect(matched).toBe(5);
      expect(found / planted).toBeGreaterThan(0.9);
      expect(found / sorted).toBeGreaterThan(0.95);
      for (const noise of noiseUv) expect(noise).toBeCloseTo(9, -1);
    }
  });
});

describe('quality', () => {
  it('counts spikes a second, intervals that are too short, and bins that are not empty', () => {
    expect(firingRate(10, 5)).toBe(2);
    expect(isiViolations([0, 10, 15, 100], 8)).toBeCloseTo(1 / 3);
    expect(isiViolations([0, 10, 15, 100], 5)).toBe(0);
    expect(isiViolations([7], 8)).toBe(0);
    expect(presenceRatio([0, 1, 99], 100, 4)).toBe(0.5);
    expect(presenceRatio([100], 100, 4)).toBe(0.25);
    expect(presenceRatio([], 100, 4)).toBe(0);
  });
});

describe('accuracy', () => {
  it('pairs each spike once, within the tolerance', () => {
    expect(sharedSpikes([10, 20, 30], [12, 20, 35], 4)).toBe(2);
    expect(sharedSpikes([10], [9, 10, 11], 4)).toBe(1);
    expect(sharedSpikes([], [1], 4)).toBe(0);
  });

  it('lets a unit stand for one neuron and a neuron for one unit', () => {
    const neurons = [
      [10, 20, 30, 40],
      [100, 200],
    ];
    expect(accuracyOf(neurons, [[10, 20, 30], [40], [100, 200, 300]], 0)).toEqual({
      planted: 6,
      sorted: 7,
      found: 5,
      matched: 2,
    });
    expect(accuracyOf(neurons, [], 0)).toEqual({ planted: 6, sorted: 0, found: 0, matched: 0 });
  });
});

describe('curation', () => {
  const spike = (unit: number, sample: number, depth: number) => ({ unit, sample, depth });
  const inputs = {
    sorting: { noise_uv: [10, 20] },
    decisions: [
      { unit: 0, label: 'good', merged_into: null },
      { unit: 1, label: 'merged', merged_into: 0 },
      { unit: 2, label: 'merged', merged_into: 1 },
      { unit: 3, label: 'noise', merged_into: null },
    ] as const,
    units: [0, 1, 2, 3].map((unit) => ({ unit, peak_channel: unit === 0 ? 1 : 0 })),
    spikes: [spike(0, 50, 8), spike(1, 10, 6), spike(2, 90, 4), spike(3, 70, 5)],
  };

  it('puts pieces together, over several steps, and leaves out noise', () => {
    expect(curate(inputs)).toEqual({
      units: [{ unit: 0, peak_channel: 1, depth_uv: 120, spike_train: [10, 50, 90] }],
      pieces: [0, 1, 2].map((sorted_unit) => ({ unit: 0, sorted_unit })),
      dropped: 1,
    });
  });

  it('ends where decisions go in a circle, and where no unit stands', () => {
    const circle = [
      { unit: 0, label: 'merged', merged_into: 1 },
      { unit: 1, label: 'merged', merged_into: 0 },
    ] as const;
    expect(curate({ ...inputs, decisions: circle })).toEqual({ units: [], pieces: [], dropped: 4 });
  });
});
