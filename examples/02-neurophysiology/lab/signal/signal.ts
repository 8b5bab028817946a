/**
 * A short recording of one tetrode: four channels of 16-bit samples, little end first, channel by channel.
 *
 * | member | unit |
 * |---|---|
 * | `rateHz` | samples a second and channel |
 * | `channels[c][i]` | microvolts |
 * | stored | one step is 0.25 microvolts, so the range is about 8 millivolts either way |
 */
export interface Signal {
  readonly rateHz: number;
  readonly channels: readonly Float64Array[];
}

const MICROVOLTS_A_STEP = 0.25;

/** The samples as they are stored. */
export function packSamples(channels: readonly Float64Array[]): Uint8Array {
  const length = channels[0]?.length ?? 0;
  const packed = new Uint8Array(2 * channels.length * length);
  const view = new DataView(packed.buffer);
  let offset = 0;
  for (const channel of channels) {
    for (let at = 0; at < length; at += 1) {
      const step = Math.round((channel[at] ?? 0) / MICROVOLTS_A_STEP);
      view.setInt16(offset, Math.max(-32_768, Math.min(32_767, step)), true);
      offset += 2;
    }
  }
  return packed;
}

/** The samples of a stored signal, in microvolts. */
export function unpackSamples(packed: Uint8Array, channelCount: number): readonly Float64Array[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const length = packed.byteLength / 2 / channelCount;
  return Array.from({ length: channelCount }, (_, channel) => {
    const samples = new Float64Array(length);
    const start = 2 * channel * length;
    for (let at = 0; at < length; at += 1) {
      samples[at] = view.getInt16(start + 2 * at, true) * MICROVOLTS_A_STEP;
    }
    return samples;
  });
}
