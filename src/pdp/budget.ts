// How the pruned weights are shared out among the layers. Every budget gives whole numbers, so that the total is met
// to the weight.
import { SecateurError } from '../../lib/core/errors.js';
import type { Shape } from '../../lib/core/shape.js';
import { count } from './schedule.js';

export interface BudgetLayer {
  readonly name: string;
  readonly shape: Shape;
  readonly size: number;
}

/** The largest numbers of weights that the layers may lose: never all of them, unless the cap is infinite. */
function limitsOf(sizes: readonly number[], maxLayerSparsity: number): readonly number[] {
  if (maxLayerSparsity === Infinity) return sizes;
  return sizes.map((size) => Math.max(0, Math.min(size - 1, count(maxLayerSparsity, size))));
}

/**
 * Global magnitude: the layers lose what they have among the `count(sparsity, N)` smallest magnitudes of all. A layer
 * that would lose more than its cap keeps to the cap, and the others make up for it. Among equal magnitudes earlier
 * layers and smaller indices go first.
 *
 * @throws ERR_ARGUMENT when the caps leave too little to prune
 */
export function globalMagnitude(
  weights: readonly ArrayLike<number>[],
  sparsity: number,
  maxLayerSparsity = 1,
): number[] {
  const total = weights.reduce((n, w) => n + w.length, 0);
  const limits = limitsOf(
    weights.map((w) => w.length),
    maxLayerSparsity,
  );
  const counts = new Array<number>(weights.length).fill(0);
  let free = weights.map((_, i) => i);
  let left = count(sparsity, total);
  // Each round either settles everything or fixes at least one layer at its cap.
  for (;;) {
    const chosen = smallest(
      free.map((i) => weights[i] as ArrayLike<number>),
      left,
    );
    const over = free.filter((i, j) => (chosen[j] as number) > (limits[i] as number));
    if (over.length === 0) {
      free.forEach((i, j) => (counts[i] = chosen[j] as number));
      return counts;
    }
    for (const i of over) {
      counts[i] = limits[i] as number;
      left -= limits[i] as number;
    }
    free = free.filter((i) => !over.includes(i));
    if (left > free.reduce((n, i) => n + (limits[i] as number), 0)) throw unreachable(sparsity, limits, total);
  }
}

/** @throws ERR_ARGUMENT when layers of these sizes cannot lose so much, each at most its cap */
export function checkReachable(sizes: readonly number[], sparsity: number, maxLayerSparsity = 1): void {
  const total = sizes.reduce((a, b) => a + b, 0);
  const limits = limitsOf(sizes, maxLayerSparsity);
  if (count(sparsity, total) > limits.reduce((a, b) => a + b, 0)) throw unreachable(sparsity, limits, total);
}

function unreachable(sparsity: number, limits: readonly number[], total: number): SecateurError {
  const most = limits.reduce((a, b) => a + b, 0) / total;
  return new SecateurError(
    'ERR_ARGUMENT',
    `budget: a sparsity of ${sparsity} cannot be met: a layer keeps one weight at least, and what maxLayerSparsity leaves it; at most ${most.toFixed(6)} can. Lower the sparsity, or raise maxLayerSparsity where it is set.`,
    { sparsity, most },
  );
}

/** How many of the k smallest magnitudes over all lists lie in each. NaN counts as largest. */
function smallest(lists: readonly ArrayLike<number>[], k: number): number[] {
  const n = lists.reduce((sum, w) => sum + w.length, 0);
  if (k <= 0) return lists.map(() => 0);
  const all = new Float64Array(n);
  let at = 0;
  for (const w of lists) for (let i = 0; i < w.length; i++) all[at++] = Math.abs(w[i] as number);
  all.sort(); // a typed array's sort is numeric and puts NaN last
  const cut = all[Math.min(k, n) - 1] as number;
  const below = lists.map((w) => tally(w, (x) => x < cut));
  let ties = Math.min(k, n) - below.reduce((a, b) => a + b, 0);
  return lists.map((w, i) => {
    const take = Math.min(
      ties,
      tally(w, (x) => x === cut || (Number.isNaN(cut) && Number.isNaN(x))),
    );
    ties -= take;
    return (below[i] as number) + take;
  });
}

function tally(w: ArrayLike<number>, test: (magnitude: number) => boolean): number {
  let n = 0;
  for (let i = 0; i < w.length; i++) if (test(Math.abs(w[i] as number))) n++;
  return n;
}

/** Uniform: every layer loses the same fraction; the weights lost to rounding are made up in the largest remainders. */
export function uniformBudget(layers: readonly BudgetLayer[], sparsity: number): number[] {
  return roundToTotal(
    layers,
    layers.map(({ size }) => sparsity * size),
    sparsity,
  );
}

/**
 * Erdos-Renyi-kernel (Evci et al. 2020): the density of a layer is proportional to `sum(dims) / prod(dims)`, scaled to the total;
 * layers that would come out denser than 1 are left dense and the rest scaled again.
 */
export function erkBudget(layers: readonly BudgetLayer[], sparsity: number): number[] {
  const densities = erkDensities(
    layers.map((l) => l.shape),
    1 - sparsity,
  );
  return roundToTotal(
    layers,
    layers.map(({ size }, i) => size * (1 - (densities[i] as number))),
    sparsity,
  );
}

/** The densities of `erkBudget`, before rounding to whole weights. */
export function erkDensities(shapes: readonly Shape[], density: number): number[] {
  const sizes = shapes.map((s) => s.reduce((a, b) => a * b, 1));
  const raw = shapes.map((s, i) => s.reduce((a, b) => a + b, 0) / (sizes[i] as number));
  const dense = new Set<number>();
  const total = sizes.reduce((a, b) => a + b, 0);
  for (;;) {
    let wanted = density * total;
    let weight = 0;
    raw.forEach((r, i) => {
      if (dense.has(i)) wanted -= sizes[i] as number;
      else weight += r * (sizes[i] as number);
    });
    const scale = wanted / weight;
    const open = raw.filter((_, i) => !dense.has(i));
    const highest = Math.max(...open);
    if (open.length === 0 || scale * highest <= 1) return raw.map((r, i) => (dense.has(i) ? 1 : scale * r));
    raw.forEach((r, i) => {
      if (r === highest) dense.add(i);
    });
  }
}

/** Whole numbers near the wanted ones whose sum is exactly `count(sparsity, N)`, no layer losing all. */
function roundToTotal(layers: readonly BudgetLayer[], wanted: readonly number[], sparsity: number): number[] {
  const total = count(
    sparsity,
    layers.reduce((n, l) => n + l.size, 0),
  );
  const limits = layers.map((l) => l.size - 1);
  const counts = wanted.map((w, i) => Math.min(limits[i] as number, Math.max(0, Math.floor(w + 1e-6))));
  let left = total - counts.reduce((a, b) => a + b, 0);
  const order = wanted.map((w, i) => ({ i, rest: w - Math.floor(w) })).sort((a, b) => b.rest - a.rest || a.i - b.i);
  while (left > 0) {
    const open = order.filter(({ i }) => (counts[i] as number) < (limits[i] as number));
    if (open.length === 0)
      throw unreachable(
        sparsity,
        limits,
        layers.reduce((n, l) => n + l.size, 0),
      );
    for (const { i } of open) {
      if (left === 0) break;
      counts[i] = (counts[i] as number) + 1;
      left--;
    }
  }
  return counts;
}

/** Counts from a table of layer name to sparsity, as a finished run's report gives it. Names that match nothing are refused. */
export function tableBudget(layers: readonly BudgetLayer[], table: Readonly<Record<string, number>>): number[] {
  const unknown = Object.keys(table).filter((name) => !layers.some((l) => l.name === name));
  const missing = layers.filter((l) => typeof table[l.name] !== 'number').map((l) => l.name);
  if (unknown.length + missing.length > 0) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `budget table: ${missing.length > 0 ? `no entry for ${missing.join(', ')}. ` : ''}${unknown.length > 0 ? `No layer is called ${unknown.join(', ')}.` : ''}`,
      { unknown, missing },
    );
  }
  return layers.map(({ name, size }) => {
    const s = table[name] as number;
    if (!(s >= 0 && s < 1))
      throw new SecateurError('ERR_ARGUMENT', `budget table: ${name} has sparsity ${s}; needs 0 <= sparsity < 1.`);
    return count(s, size);
  });
}
