/** From waveforms to neurons: principal components, k-means with more clusters than neurons, and a merge of halves. */

/** Points of some dimensions. */
export type Points = readonly Float64Array[];

/**
 * The points in the directions in which they vary most.
 *
 * The directions are found one after the other by power iteration on the covariance.
 */
export function principalComponents(points: Points, count: number): Points {
  const mean = meanOf(points);
  const centred = points.map((point) => point.map((value, at) => value - (mean[at] ?? 0)));
  const covariance = covarianceOf(centred, mean.length);
  const directions = Array.from({ length: Math.min(count, mean.length) }, () => takeDirection(covariance));
  return centred.map((point) => Float64Array.from(directions, (direction) => dot(point, direction)));
}

/** The mean of points. */
export function meanOf(points: Points): Float64Array {
  const mean = new Float64Array(points[0]?.length ?? 0);
  for (const point of points) {
    for (let at = 0; at < mean.length; at += 1) mean[at] = (mean[at] ?? 0) + (point[at] ?? 0) / points.length;
  }
  return mean;
}

function covarianceOf(centred: Points, size: number): readonly Float64Array[] {
  const rows = Array.from({ length: size }, () => new Float64Array(size));
  for (const point of centred) {
    for (let row = 0; row < size; row += 1) {
      const sums = rows[row];
      const value = point[row] ?? 0;
      if (sums !== undefined)
        for (let at = 0; at <= row; at += 1) sums[at] = (sums[at] ?? 0) + value * (point[at] ?? 0);
    }
  }
  for (let row = 0; row < size; row += 1) {
    for (let at = 0; at < row; at += 1) {
      const other = rows[at];
      if (other !== undefined) other[row] = rows[row]?.[at] ?? 0;
    }
  }
  return rows;
}

const POWER_ROUNDS = 40;

/** The direction of the greatest variance; what varies along it is taken out of the covariance. */
function takeDirection(covariance: readonly Float64Array[]): Float64Array {
  // The row of the greatest own variance cannot be at right angles to the direction that is looked for.
  const start = covariance.reduce(
    (most, row, at) => ((row[at] ?? 0) > (covariance[most]?.[most] ?? 0) ? at : most),
    0,
  );
  let direction = unit(covariance[start] ?? new Float64Array());
  let variance = 0;
  for (let round = 0; round < POWER_ROUNDS; round += 1) {
    const next = Float64Array.from(covariance, (row) => dot(row, direction));
    variance = Math.sqrt(dot(next, next));
    direction = unit(next);
  }
  for (const [row, values] of covariance.entries()) {
    for (let at = 0; at < values.length; at += 1) {
      values[at] = (values[at] ?? 0) - variance * (direction[row] ?? 0) * (direction[at] ?? 0);
    }
  }
  return direction;
}

function unit(vector: Float64Array): Float64Array {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}

function dot(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += (left[at] ?? 0) * (right[at] ?? 0);
  return sum;
}

const RESTARTS = 3;
const ROUNDS = 25;

/** The cluster of each point, from 0; the best of several k-means from random starts (k-means++). */
export function kMeans(points: Points, k: number, random: () => number): Int32Array {
  let best = { labels: new Int32Array(points.length), cost: Infinity };
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const tried = lloyd(points, startsOf(points, k, random));
    if (tried.cost < best.cost) best = tried;
  }
  return best.labels;
}

/** Each further start is drawn with odds that rise with the square of its distance from those before. */
function startsOf(points: Points, k: number, random: () => number): readonly Float64Array[] {
  const starts: Float64Array[] = [];
  const away = new Float64Array(points.length).fill(1);
  while (starts.length < Math.min(k, points.length)) {
    let left = random() * away.reduce((sum, value) => sum + value, 0);
    const chosen =
      points[
        Math.max(
          0,
          away.findIndex((value) => (left -= value) < 0),
        )
      ];
    if (chosen === undefined) break;
    if (starts.length === 0) away.fill(Infinity);
    starts.push(chosen);
    for (const [at, point] of points.entries()) away[at] = Math.min(away[at] ?? 0, distance(point, chosen));
  }
  return starts;
}

function lloyd(
  points: Points,
  starts: readonly Float64Array[],
): { readonly labels: Int32Array<ArrayBuffer>; readonly cost: number } {
  let centres = starts;
  const labels = new Int32Array(points.length);
  let cost = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = cost;
    cost = assign(points, centres, labels);
    if (cost >= before) break;
    centres = meansOf(points, labels, centres);
  }
  return { labels, cost };
}

/** The mean of each cluster; of one without points, where it was. */
function meansOf(points: Points, labels: Int32Array, before: Points): Points {
  const counts = new Int32Array(before.length);
  const sums = before.map((centre) => new Float64Array(centre.length));
  for (const [index, point] of points.entries()) {
    const label = labels[index] ?? 0;
    const sum = sums[label] ?? EMPTY;
    counts[label] = (counts[label] ?? 0) + 1;
    for (let at = 0; at < sum.length; at += 1) sum[at] = (sum[at] ?? 0) + (point[at] ?? 0);
  }
  return sums.map((sum, label) => {
    const count = counts[label] ?? 0;
    return count === 0 ? (before[label] ?? sum) : sum.map((value) => value / count);
  });
}

function assign(points: Points, centres: readonly Float64Array[], labels: Int32Array): number {
  let cost = 0;
  for (const [at, point] of points.entries()) {
    let nearest = Infinity;
    for (let label = 0; label < centres.length; label += 1) {
      const here = distance(point, centres[label] ?? EMPTY);
      if (here < nearest) {
        nearest = here;
        labels[at] = label;
      }
    }
    cost += nearest;
  }
  return cost;
}

function distance(left: Float64Array, right: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < left.length; at += 1) sum += ((left[at] ?? 0) - (right[at] ?? 0)) ** 2;
  return sum;
}

/**
 * Merges clusters that are pieces of one cloud: those whose middles lie less than `apart` from each other, the nearest
 * first. Points in units of the noise vary by about 1 in each direction around their neuron, so halves of one cloud are
 * less than 3 apart. Labels stay from 0.
 */
export function mergePieces(points: Points, labels: Int32Array, apart: number): Int32Array {
  const clusters = clustersOf(points, labels);
  for (;;) {
    const pair = nearestPair(clusters);
    if (pair === undefined || pair.away >= apart) break;
    const members = [...pair.left.members, ...pair.right.members];
    clusters.splice(clusters.indexOf(pair.right), 1);
    clusters.splice(clusters.indexOf(pair.left), 1, clusterOf(points, members));
  }
  return labelsOf(clusters, points.length);
}

/** The places of its points, and its middle. */
interface Cluster {
  readonly members: readonly number[];
  readonly middle: Float64Array;
}

function clustersOf(points: Points, labels: Int32Array): Cluster[] {
  const members = Map.groupBy(labels.keys(), (at) => labels[at] ?? 0);
  return [...members.values()].map((own) => clusterOf(points, own));
}

function clusterOf(points: Points, members: readonly number[]): Cluster {
  return { members, middle: middleOf(members.map((at) => points[at] ?? EMPTY)) };
}

/** Numbered in the order in which they stand. */
function labelsOf(clusters: readonly Cluster[], count: number): Int32Array {
  const labels = new Int32Array(count);
  for (const [label, { members }] of clusters.entries()) for (const at of members) labels[at] = label;
  return labels;
}

interface Pair {
  readonly left: Cluster;
  readonly right: Cluster;
  readonly away: number;
}

function nearestPair(clusters: readonly Cluster[]): Pair | undefined {
  let nearest: Pair | undefined;
  for (const [at, left] of clusters.entries()) {
    for (const right of clusters.slice(at + 1)) {
      const away = Math.sqrt(distance(left.middle, right.middle));
      if (nearest === undefined || away < nearest.away) nearest = { left, right, away };
    }
  }
  return nearest;
}

const EMPTY = new Float64Array();

/** The median in each direction: two spikes at once, which lie far off, do not move it. */
export function middleOf(points: Points): Float64Array {
  const middle = new Float64Array(points[0]?.length ?? 0);
  const values = new Float64Array(points.length);
  for (let at = 0; at < middle.length; at += 1) {
    for (let index = 0; index < values.length; index += 1) values[index] = points[index]?.[at] ?? 0;
    middle[at] = values.sort()[Math.floor(values.length / 2)] ?? 0;
  }
  return middle;
}

/** The points of clusters with fewer than `least` points go to the cluster whose middle is nearest. */
export function absorbSmall(points: Points, labels: Int32Array, least: number): Int32Array {
  const clusters = clustersOf(points, labels);
  const large = clusters.filter(({ members }) => members.length >= least);
  if (large.length === 0) return labels;
  const absorbed = large.map(({ members, middle }) => ({ members: [...members], middle }));
  for (const { members } of clusters.filter((cluster) => !large.includes(cluster))) {
    for (const at of members) nearestOf(absorbed, points[at] ?? EMPTY)?.members.push(at);
  }
  return labelsOf(absorbed, points.length);
}

function nearestOf<C extends Cluster>(clusters: readonly C[], point: Float64Array): C | undefined {
  const away = clusters.map(({ middle }) => distance(middle, point));
  return clusters[away.indexOf(Math.min(...away))];
}
