/** How often values fall into equally wide bins. */
export interface Histogram {
  /** `bins + 1` bin borders, ascending; bin i is [edges[i], edges[i+1]), the last one closed. */
  readonly edges: number[];
  readonly counts: number[];
  /** Of the finite values. */
  readonly min: number;
  readonly max: number;
  readonly sum: number;
  readonly sumOfSquares: number;
  /** Finite values; the others (NaN, infinities) are in no bin. */
  readonly count: number;
}

/**
 * Counts `values` into `bins` bins of equal width from the smallest to the largest finite value. Equal values (width 0)
 * all fall into the last bin; with no finite value every figure is 0.
 */
export function histogramOf(values: ArrayLike<number>, bins = 64): Histogram {
  let [min, max, sum, sumOfSquares, count] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? NaN;
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    sumOfSquares += value * value;
    count++;
  }
  if (count === 0) [min, max] = [0, 0];
  const counts = new Array<number>(bins).fill(0);
  // Half of each bound: the width of the whole range may itself be beyond the largest number.
  const halfWidth = max / 2 - min / 2;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? NaN;
    if (!Number.isFinite(value)) continue;
    const place = halfWidth > 0 ? Math.floor(((value / 2 - min / 2) / halfWidth) * bins) : bins;
    const bin = Math.min(place, bins - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const edges = Array.from({ length: bins + 1 }, (_, i) => (i === bins ? max : min + 2 * halfWidth * (i / bins)));
  return { edges, counts, min, max, sum, sumOfSquares, count };
}
