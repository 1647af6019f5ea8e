// Golden PDP: masks and their gradients over elements, N:M groups and channels; the allocation; the ramp.
import { z } from 'zod';
import { SecateurError } from '../../lib/core/errors.js';
import type { Tensor } from '../../lib/core/tensor.js';
import {
  applyHardMask,
  channelMask,
  channelNorm,
  channelWeight,
  nmHardMask,
  nmSoftWeight,
  pdpWeight,
  tensor,
  threshold,
  thresholdRow,
} from '../../lib/index.js';
import { count, globalMagnitude, linearRamp } from '../../src/pdp/index.js';
import type { Comparison } from './comparison.js';
import { type GoldenArray, channelsLast, channelsSecond } from './goldenFile.js';
import { type Part, part } from './part.js';
import { traceParts } from './pdpTrace.js';

/** How many entries a ratio prunes, which the settings say too. */
function prunedCount(key: string, ratio: number, n: number, said: number | undefined): number {
  const k = count(ratio, n);
  if (said !== undefined && said !== k) {
    throw new SecateurError('ERR_DATA', `${key}: ${ratio} of ${n} prunes ${k}, the settings say ${said}.`);
  }
  return k;
}

/**
 * The soft mask of a masked weight `y(w) = m w`, which the ops never store: `y / w`, and where w is 0 the derivative
 * of y there, which is m.
 */
function maskOf(w: Tensor, masked: (w: Tensor) => Tensor): Float64Array {
  const leaf = tensor(w.doubles(), { shape: w.shape, dtype: 'f32', device: w.device, requiresGrad: true });
  const y = masked(leaf);
  y.backward({ grad: tensor(new Float64Array(w.size).fill(1), { shape: w.shape, dtype: 'f32', device: w.device }) });
  const [values, out, slope] = [w.doubles(), y.doubles(), (leaf.grad as Tensor).doubles()];
  return out.map((v, i) => (values[i] === 0 ? (slope[i] as number) : v / (values[i] as number)));
}

function elements(c: Comparison): void {
  const settings = { r: z.number(), tau: z.number(), pruned: z.number().optional() };
  for (const { key, r, tau, pruned } of c.file.cases('elem', settings)) {
    const w = c.leaf('elem/w');
    const g = c.input('elem/g');
    const k = prunedCount(key, r, w.size, pruned);
    const row = thresholdRow(threshold([w], [k]), 0);
    const y = pdpWeight(w, row, { tau });
    y.backward({ grad: g });
    c.close(`${key}/t`, row.levels.doubles().subarray(2));
    c.close(
      `${key}/m`,
      maskOf(w, (leaf) => pdpWeight(leaf, row, { tau })),
    );
    c.tensor(`${key}/out`, y);
    c.tensor(`${key}/grad`, w.grad);
    if (k === 0) {
      // Nothing pruned: the weight and the gradient pass bit for bit.
      c.equal(`${key}/out`, y.doubles());
      c.equal(`${key}/grad`, (w.grad as Tensor).doubles());
    }
    c.equal(`${key}/hard`, applyHardMask(w, row).doubles());
    if (!c.file.has(`${key}/grad_through_t`)) continue;
    const through = c.leaf('elem/w');
    pdpWeight(through, row, { tau, throughThreshold: true }).backward({ grad: g });
    c.tensor(`${key}/grad_through_t`, through.grad);
  }
}

function worked(c: Comparison): void {
  const { r, tau } = c.file.section('worked', z.object({ r: z.number(), tau: z.number() }));
  const w = c.leaf('worked/w');
  const row = thresholdRow(threshold([w], [count(r, w.size)]), 0);
  const y = pdpWeight(w, row, { tau });
  y.sum().backward();
  c.close('worked/t', row.levels.doubles().subarray(2));
  c.close(
    'worked/m',
    maskOf(w, (leaf) => pdpWeight(leaf, row, { tau })),
  );
  c.tensor('worked/out', y);
  c.tensor('worked/grad_of_sum', w.grad);
}

/** Lays a weight out so that its groups are runs along the last axis, and takes results back to the file's order. */
function grouping(layout: 'flat' | 'nhwc', m: number) {
  const there = (a: GoldenArray): GoldenArray => {
    const ordered = layout === 'nhwc' ? channelsLast(a) : a;
    const whole = (ordered.shape[ordered.shape.length - 1] ?? 0) % m === 0;
    return whole ? ordered : { data: ordered.data, shape: [ordered.data.length] };
  };
  const back = (values: Float64Array, shape: readonly number[]): Float64Array => {
    if (layout === 'flat') return values;
    const last = channelsLast({ data: values, shape }).shape;
    return channelsSecond({ data: values, shape: last }).data;
  };
  return { there, back };
}

function groups(c: Comparison): void {
  const settings = {
    N: z.number(),
    M: z.number(),
    tau: z.number(),
    weight: z.string(),
    upstream: z.string(),
    layout: z.enum(['flat', 'nhwc']),
  };
  for (const { key, N: n, M: m, tau, weight, upstream, layout } of c.file.cases('nm', settings)) {
    const { there, back } = grouping(layout, m);
    const { shape } = c.file.array(weight);
    const w = c.leaf(weight, there);
    const soft = (x: Tensor): Tensor => nmSoftWeight(x, { n, m, tau });
    soft(w).backward({ grad: c.input(upstream, there) });
    const values = w.doubles();
    const runs = Array.from({ length: values.length / m }, (_, i) =>
      tensor(values.slice(i * m, (i + 1) * m), { dtype: 'f32', device: c.device }),
    );
    const { levels } = threshold(
      runs,
      runs.map(() => m - n),
    );
    c.close(
      `${key}/t`,
      levels.doubles().filter((_, i) => i % 3 === 2),
    );
    c.close(`${key}/m`, back(maskOf(w, soft), shape));
    c.close(`${key}/grad`, back((w.grad as Tensor).doubles(), shape));
    c.equal(`${key}/hard_mask`, back(nmHardMask(w, { n, m }).doubles(), shape));
  }
}

function channels(c: Comparison): void {
  const settings = { r: z.number(), tau: z.number(), pruned: z.number().optional() };
  for (const { key, r, tau, pruned } of c.file.cases('chan', settings)) {
    const w = c.leaf('chan/w', channelsLast);
    const norm = channelNorm(w);
    const row = thresholdRow(threshold([norm], [prunedCount(key, r, norm.size, pruned)]), 0);
    const mask = channelMask(norm, row, { tau });
    channelWeight(w, mask).backward({ grad: c.input('chan/g', channelsLast) });
    c.close(`${key}/t`, row.levels.doubles().subarray(2));
    c.tensor(`${key}/m`, mask);
    c.tensor(`${key}/grad`, w.grad, channelsSecond);
  }
}

function allocation(c: Comparison): void {
  const schema = z.object({ layers: z.number().int().nonnegative().max(10_000), guarded: z.boolean() });
  const { layers, guarded } = c.file.section('alloc', schema);
  const weights = Array.from({ length: layers }, (_, i) => c.input(`alloc/w${i}`).doubles());
  const total = weights.reduce((n, w) => n + w.length, 0);
  const settings = { r: z.number(), pruned_total: z.number().optional() };
  for (const { key, r, pruned_total: pruned } of c.file.cases('alloc', settings)) {
    prunedCount(key, r, total, pruned);
    const counts = globalMagnitude(weights, r, guarded ? 1 : Infinity);
    // Ratios of whole numbers: the same counts give the same doubles.
    c.equal(
      key,
      counts.map((k, i) => k / (weights[i] as Float64Array).length),
    );
  }
}

function schedule(c: Comparison): void {
  const settings = {
    r: z.number(),
    warmup_epochs: z.number(),
    eps: z.number(),
    first: z.union([z.literal(0), z.literal(1)]),
  };
  for (const { key, r, warmup_epochs: warmup, eps: epsilon, first } of c.file.cases('sched', settings)) {
    const epochs = c.file.array(key).data;
    c.close(
      key,
      epochs.map((_, e) => r * linearRamp(e, { warmup, epsilon, first })),
    );
  }
}

export const pdpParts: readonly Part[] = [
  part('elem', elements),
  part('worked', worked),
  part('nm', groups),
  part('chan', channels),
  part('alloc', allocation),
  part('sched', schedule),
  ...traceParts,
];
