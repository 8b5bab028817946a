import { part, pipeline, t } from 'varve/pipeline';
import { sql } from 'varve/store';
import { accuracyOf } from './signal/accuracy.ts';
import { curate } from './signal/curate.ts';
import { firingRate, isiViolations, presenceRatio } from './signal/quality.ts';
import { packSamples, unpackSamples } from './signal/signal.ts';
import { CHANNELS, simulate } from './signal/simulate.ts';
import { sortSpikes } from './signal/sort.ts';

export const ephys = pipeline('ephys');

const RATE_HZ = 10_000;
const SECONDS = 5;
const NEURONS = 5;

/** By which columns of its key a result finds the rows of its recording, and of its sorting. */
const SAME_RECORDING = { subject: 'subject', session: 'session', probe: 'probe' } as const;
const SAME_SORTING = { ...SAME_RECORDING, sorter: 'sorter' } as const;

// What people bring.

export const Person = ephys.manual('person', { key: { person: t.text() }, columns: { name: t.text() } });

export const Subject = ephys.manual('subject', {
  key: { subject: t.text() },
  columns: { species: t.text(), sex: t.enum('female', 'male', 'unknown'), born: t.date().nullable() },
});

export const Stimulus = ephys.lookup('stimulus', {
  key: { stimulus: t.text() },
  columns: { description: t.text() },
  contents: [
    { stimulus: 'grating', description: 'drifting gratings, eight directions' },
    { stimulus: 'tone', description: 'pure tones, 2 to 32 kHz' },
  ],
});

export const ProbeType = ephys.lookup('probe_type', {
  key: { probe_type: t.text() },
  columns: { channels: t.smallint(), spacing_um: t.double() },
  contents: [
    { probe_type: 'tetrode', channels: CHANNELS, spacing_um: 25 },
    { probe_type: 'tetrode-wide', channels: CHANNELS, spacing_um: 40 },
  ],
});

export const Probe = ephys.manual('probe', {
  key: { probe: t.text() },
  columns: { built: t.date() },
  references: { type: ProbeType },
});

/** One stay of an animal on the rig. Without a stimulus, what is recorded is spontaneous. */
export const Session = ephys.manual('session', {
  parents: [Subject],
  key: { session: t.integer() },
  columns: { began: t.timestamptz() },
  references: {
    stimulus: Stimulus.as({ stimulus: 'shown' }).optional(),
    experimenter: Person.as({ person: 'experimenter' }),
  },
});

/** A probe in the brain during a session. */
export const Insertion = ephys.manual('insertion', {
  parents: [Session, Probe],
  columns: { depth_um: t.double() },
});

/** Two sessions of one animal that are to be compared: the key of the second is renamed. */
export const Comparison = ephys.manual('comparison', {
  parents: [Session, Session.as({ session: 'reference_session' })],
  columns: { question: t.text() },
});

// What is computed.

/** The raw signal. Here it is simulated from a seed that the key gives; in a laboratory `files` would read it. */
export const Recording = ephys.imported('recording', {
  parents: [Insertion],
  columns: { rate_hz: t.integer(), seconds: t.double(), signal: t.bytea() },
  parts: {
    /** What was planted: known of a simulation alone, to judge a sorter by. */
    neuron: part({
      key: { neuron: t.smallint() },
      columns: { amplitude_uv: t.double(), spike_train: t.array(t.integer()) },
    }),
  },
  reads: { insertion: Insertion, session: Session.columns('shown') },
  make: ({ session }, { random }) => {
    const { rateHz, channels, planted } = simulate(random, {
      rateHz: RATE_HZ,
      seconds: SECONDS,
      neurons: NEURONS,
      stimulated: session.shown !== null,
    });
    return {
      rate_hz: rateHz,
      seconds: SECONDS,
      signal: packSamples(channels),
      parts: {
        neuron: planted.map(({ samples, amplitudeUv }, neuron) => ({
          neuron,
          amplitude_uv: amplitudeUv,
          spike_train: samples,
        })),
      },
    };
  },
});

/** How to sort; whoever changes a row here sees in the plan which results that reaches. */
export const Sorter = ephys.lookup('sorter', {
  key: { sorter: t.text() },
  columns: {
    cutoff_hz: t.double(),
    threshold: t.double().describe('in units of the noise'),
    clusters: t.smallint(),
    merge_below: t.double().describe('in units of the noise'),
    least_spikes: t.smallint(),
  },
  contents: [
    { sorter: 'automatic', cutoff_hz: 300, threshold: 4.5, clusters: 12, merge_below: 6, least_spikes: 25 },
    { sorter: 'by-hand', cutoff_hz: 300, threshold: 4, clusters: 12, merge_below: 0, least_spikes: 0 },
  ],
});

/** Every recording, sorted in every way. */
export const Sorting = ephys.computed('sorting', {
  parents: [Recording, Sorter],
  columns: { noise_uv: t.array(t.double()), spikes: t.integer() },
  parts: {
    unit: part({
      key: { unit: t.smallint() },
      columns: { peak_channel: t.smallint(), template: t.array(t.real()), spikes: t.integer() },
    }),
    spike: part({ within: 'unit', key: { sample: t.integer() }, columns: { depth: t.real() } }),
  },
  reads: {
    recording: Recording.columns('rate_hz', 'signal'),
    probe: Probe,
    type: ProbeType.columns('channels').matching({ probe_type: Probe.column('probe_type') }),
    sorter: Sorter,
  },
  make: ({ recording, type, sorter }, { random }) => {
    const channels = unpackSamples(recording.signal, type[0]?.channels ?? 1);
    const { noiseUv, units } = sortSpikes(
      { rateHz: recording.rate_hz, channels },
      {
        cutoffHz: sorter.cutoff_hz,
        threshold: sorter.threshold,
        clusters: sorter.clusters,
        mergeBelow: sorter.merge_below,
        leastSpikes: sorter.least_spikes,
      },
      random,
    );
    return {
      noise_uv: noiseUv,
      spikes: units.reduce((sum, unit) => sum + unit.spikes.length, 0),
      parts: {
        unit: units.map(({ peakChannel, template, spikes }, unit) => ({
          unit,
          peak_channel: peakChannel,
          template,
          spikes: spikes.length,
        })),
        spike: units.flatMap(({ spikes }, unit) => spikes.map((spike) => ({ unit, ...spike }))),
      },
    };
  },
});

/** How well a sorting agrees with what was planted. */
export const Accuracy = ephys.computed('accuracy', {
  parents: [Sorting],
  columns: { planted: t.integer(), sorted: t.integer(), found: t.integer(), matched: t.smallint() },
  reads: {
    neurons: Recording.parts.neuron.columns('spike_train').matching(SAME_RECORDING),
    spikes: Sorting.parts.spike.columns('unit', 'sample').matching(SAME_SORTING),
  },
  make: ({ neurons, spikes }) => {
    const units = Map.groupBy(spikes, ({ unit }) => unit);
    return accuracyOf(
      neurons.map(({ spike_train }) => spike_train),
      [...units.values()].map((own) => own.map(({ sample }) => sample)),
      TOLERANCE,
    );
  },
});

/** Samples that a spike may be off. */
const TOLERANCE = 4;

// What people decide on what was computed, and what follows from it.

/** One look of a person at a sorting, with a decision on each of its units. */
export const Curation = ephys.manual('curation', {
  parents: [Sorting],
  references: { curator: Person.as({ person: 'curator' }) },
  columns: { note: t.text().nullable() },
  parts: {
    decision: part({
      parents: [Sorting.parts.unit],
      columns: { label: t.enum('good', 'noise', 'merged') },
      // The unit that this one is a piece of: of the same sorting, so that only one column is new.
      references: { merged_into: Sorting.parts.unit.as({ unit: 'merged_into' }).optional() },
    }),
  },
});

/** The units that stand after curation, each with the pieces that it was put together from. */
export const Curated = ephys.computed('curated', {
  parents: [Curation],
  columns: { units: t.smallint(), dropped: t.smallint() },
  parts: {
    unit: part({
      key: { unit: t.smallint() },
      columns: { peak_channel: t.smallint(), depth_uv: t.double(), spike_train: t.array(t.integer()) },
    }),
    piece: part({ within: 'unit', parents: [Sorting.parts.unit.as({ unit: 'sorted_unit' })] }),
  },
  reads: {
    sorting: Sorting.columns('noise_uv'),
    decisions: Curation.parts.decision.columns('unit', 'label', 'merged_into').matching(SAME_SORTING),
    units: Sorting.parts.unit.columns('unit', 'peak_channel').matching(SAME_SORTING),
    spikes: Sorting.parts.spike.matching(SAME_SORTING),
  },
  make: (inputs) => {
    const { units, pieces, dropped } = curate(inputs);
    return { units: units.length, dropped, parts: { unit: units, piece: pieces } };
  },
});

/** The same after curation. */
export const CuratedAccuracy = ephys.computed('curated_accuracy', {
  parents: [Curated],
  columns: { planted: t.integer(), sorted: t.integer(), found: t.integer(), matched: t.smallint() },
  reads: {
    neurons: Recording.parts.neuron.columns('spike_train').matching(SAME_RECORDING),
    units: Curated.parts.unit.columns('spike_train').matching(SAME_SORTING),
  },
  make: ({ neurons, units }) =>
    accuracyOf(
      neurons.map(({ spike_train }) => spike_train),
      units.map(({ spike_train }) => spike_train),
      TOLERANCE,
    ),
});

export const MetricParams = ephys.lookup('metric_params', {
  key: { metric_params: t.text() },
  columns: { refractory_ms: t.double(), bins: t.smallint() },
  contents: [
    { metric_params: 'strict', refractory_ms: 2, bins: 20 },
    { metric_params: 'loose', refractory_ms: 1, bins: 10 },
  ],
});

export const QualityMetrics = ephys.computed('quality_metrics', {
  parents: [Curated.parts.unit, MetricParams],
  columns: {
    firing_rate: t.double(),
    isi_violations: t.double(),
    presence_ratio: t.double(),
    snr: t.double(),
  },
  reads: {
    unit: Curated.parts.unit,
    params: MetricParams,
    sorting: Sorting.columns('noise_uv'),
    recording: Recording.columns('rate_hz', 'seconds'),
  },
  make: ({ unit, params, sorting, recording: { rate_hz, seconds } }) => ({
    firing_rate: firingRate(unit.spike_train.length, seconds),
    isi_violations: isiViolations(unit.spike_train, (params.refractory_ms / 1000) * rate_hz),
    presence_ratio: presenceRatio(unit.spike_train, rate_hz * seconds, params.bins),
    snr: unit.depth_uv / (sorting.noise_uv[unit.peak_channel] ?? 1),
  }),
});

/** One SELECT for all sessions: the database adds up faster than anyone. */
export const SessionSummary = ephys.computed('session_summary', {
  parents: [Session],
  columns: { units: t.integer(), median_rate: t.double().nullable(), median_snr: t.double().nullable() },
  reads: {
    session: Session.columns('subject', 'session'),
    metrics: QualityMetrics.columns('subject', 'session', 'metric_params', 'firing_rate', 'snr').matching({
      subject: 'subject',
      session: 'session',
    }),
  },
  query: sql`
    select s.subject, s.session, count(m.subject)::integer as units,
      percentile_cont(0.5) within group (order by m.firing_rate) as median_rate,
      percentile_cont(0.5) within group (order by m.snr) as median_snr
    from session s
    left join metrics m on m.subject = s.subject and m.session = s.session and m.metric_params = 'strict'
    group by s.subject, s.session`,
});

/** Does an animal's yield hold from the reference session to this one? */
export const Stability = ephys.computed('stability', {
  parents: [Comparison],
  columns: { units_change: t.integer(), rate_change: t.double().nullable() },
  reads: {
    now: SessionSummary.matching({ subject: 'subject', session: 'session' }),
    reference: SessionSummary.matching({ subject: 'subject', session: 'reference_session' }),
  },
  make: ({ now: [now], reference: [reference] }) => {
    const [rate, before] = [now?.median_rate ?? null, reference?.median_rate ?? null];
    return {
      units_change: (now?.units ?? 0) - (reference?.units ?? 0),
      rate_change: rate === null || before === null ? null : rate - before,
    };
  },
});
