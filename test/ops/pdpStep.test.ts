// The step with PDP's mask folded in equals the steps one after the other, bit for bit, whatever way the selection goes.
// SECATEUR_TEST_DEVICE chooses the device, as for the conformance suite.
import t, { type Test } from 'tap';
import {
  adamStep_,
  type Clip,
  clipGrads_,
  type Device,
  gradNorm,
  pdpAdamStep_,
  pdpGradNorm,
  pdpSgdStep_,
  type PdpStepOptions,
  pdpWeight,
  run,
  scope,
  sgdStep_,
  type Tensor,
  tensor,
  threshold,
  zeros,
} from '../../lib/index.js';
import { uniforms } from '../../lib/core/random.js';
import { pdpWeightGradOp } from '../../lib/ops/pdpWeight.js';

const device = (process.env['SECATEUR_TEST_DEVICE'] ?? 'cpu') as Device;
const tau = 1e-2;
const draw = uniforms({ seed: 11, position: 0 });

type Floats = 'f32' | 'bf16';

function normal(n: number, scale: number, dtype: Floats = 'f32'): Tensor {
  const values = Float64Array.from({ length: n }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - (draw.next().value as number)));
    return scale * radius * Math.cos(2 * Math.PI * (draw.next().value as number));
  });
  return tensor(values, { dtype, device });
}

const copy = (x: Tensor): Tensor => tensor(x.doubles(), { dtype: x.dtype, shape: x.shape, device });
// Doubles hold every value of the dtypes exactly; -0 is not 0 here.
const same = (a: Tensor, b: Tensor): boolean => {
  const other = b.doubles();
  return a.size === b.size && a.doubles().every((x, i) => Object.is(x, other[i]));
};

/** An optimizer both ways: its plain step, and the one with the mask in it. */
interface Both {
  readonly slots: number;
  plain(w: Tensor[], g: Tensor[], s: Tensor[][], step: number): void;
  folded(tensors: Parameters<typeof pdpSgdStep_>[0], s: Tensor[][], step: number, options: PdpStepOptions): void;
}

function sgd(momentum: number, nesterov: boolean): Both {
  const options = { lr: 0.05, momentum, nesterov, weightDecay: 1e-3 };
  return {
    slots: momentum > 0 ? 1 : 0,
    plain: (w, g, s) => sgdStep_(w, g, s[0] ?? [], options),
    folded: (tensors, s, _, more) => pdpSgdStep_(tensors, s[0] ?? [], { ...options, ...more }),
  };
}
function adam(decoupled: boolean): Both {
  const options = { lr: 0.01, weightDecay: 0.1, decoupled };
  const steps = (w: readonly Tensor[], step: number): number[] => w.map((_, l) => step + l);
  return {
    slots: 2,
    plain: (w, g, [m, v], step) => adamStep_(w, g, m as Tensor[], v as Tensor[], steps(w, step), options),
    folded: (tensors, [m, v], step, more) =>
      pdpAdamStep_(tensors, m as Tensor[], v as Tensor[], steps(tensors.weights, step), { ...options, ...more }),
  };
}

interface Clipping {
  readonly w: Tensor[];
  readonly g: Tensor[];
  readonly dw: Tensor[];
  readonly rows: { levels: Tensor; counts: Tensor };
  readonly maxNorm: number;
  readonly step: number;
}

/** Clips the gradients after the mask; gives the same norm found from those before it, another weight's in between. */
function clipBothWays(t: Test, { w, g, dw, rows, maxNorm, step }: Clipping): Clip {
  const other = normal(1030, 1);
  const early = pdpGradNorm(
    w.flatMap((weight, layer) => {
      const masked = { weight, grad: g[layer] as Tensor, layer };
      return layer === 1 ? [other, masked] : [masked];
    }),
    rows,
    tau,
  );
  const norm = gradNorm([...dw.slice(0, 1), other, ...dw.slice(1)]);
  t.ok(same(early, norm), `step ${step}: the norm`);
  clipGrads_(dw, norm, maxNorm);
  return { norm: early, maxNorm };
}

/**
 * Takes steps both ways. `ratios`: what share of each layer is pruned, by step; a leap makes the brackets miss. With
 * `maxNorm` all gradients are clipped together, those of a weight without a mask among them.
 */
function compare(
  t: Test,
  both: Both,
  dtype: Floats,
  sizes: readonly number[],
  ratios: readonly number[][],
  maxNorm?: number,
): void {
  const k = (step: number): number[] => sizes.map((n, l) => Math.floor((ratios[step]?.[l] ?? 0) * n));
  scope(() => {
    const w = sizes.map((n) => normal(n, 0.1));
    const slots = Array.from({ length: both.slots }, () => sizes.map((n) => zeros([n], { device })));
    const [w2, slots2] = [w.map(copy), slots.map((s) => s.map(copy))];
    const state = zeros([sizes.length, 2], { dtype: 'i32', device });
    const mask = (of: Tensor[], rows: { levels: Tensor; counts: Tensor }): Tensor[] =>
      of.map((x, layer) => pdpWeight(x, { ...rows, layer }, { tau, dtype }));
    let rows = threshold(w, k(0));
    let y = mask(w, rows);
    const [levels, counts, y2] = [copy(rows.levels), copy(rows.counts), y.map(copy)];
    for (let step = 1; step < ratios.length; step++) {
      const g = sizes.map((n) => normal(n, 1, dtype));
      const dw = w.map((x, layer) => {
        const inputs = { w: x, g: g[layer] as Tensor, ...rows };
        return run(pdpWeightGradOp, inputs, { throughThreshold: false }, { scalars: { layer, tau } }).dw;
      });
      const clip = maxNorm === undefined ? undefined : clipBothWays(t, { w, g, dw, rows, maxNorm, step });
      both.plain(w, dw, slots, step);
      rows = threshold(w, k(step));
      y = mask(w, rows);
      const tensors = { weights: w2, grads: g, effective: y2, levels, counts, state };
      both.folded(tensors, slots2, step, { k: k(step), tau, clip });
      t.ok(same(levels, rows.levels), `step ${step}: thresholds`);
      t.ok(same(counts, rows.counts), `step ${step}: counts`);
      sizes.forEach((n, l) => {
        t.ok(same(w2[l] as Tensor, w[l] as Tensor), `step ${step}: ${n} weights`);
        t.ok(same(y2[l] as Tensor, y[l] as Tensor), `step ${step}: ${n} effective weights`);
        slots.forEach((s, i) =>
          t.ok(same(slots2[i]?.[l] as Tensor, s[l] as Tensor), `step ${step}: ${n} entries of state`),
        );
      });
    }
  });
  t.end();
}

const small = [7, 4098, 0, 1];
const ramp = [0, 0.2, 0.21, 0.22].map((r) => [r, r / 2, 0, r]);

t.test('small layers', (t) => {
  t.test('sgd', (t) => compare(t, sgd(0, false), 'f32', small, ramp));
  t.test('sgd to bf16', (t) => compare(t, sgd(0, false), 'bf16', small, ramp));
  t.test('momentum', (t) => compare(t, sgd(0.9, false), 'f32', small, ramp));
  t.test('nesterov to bf16', (t) => compare(t, sgd(0.9, true), 'bf16', small, ramp));
  t.test('adam', (t) => compare(t, adam(false), 'f32', small, ramp));
  t.test('adamW to bf16', (t) => compare(t, adam(true), 'bf16', small, ramp));
  t.test('momentum, clipped', (t) => compare(t, sgd(0.9, false), 'f32', small, ramp, 1));
  t.test('adamW to bf16, clipped', (t) => compare(t, adam(true), 'bf16', small, ramp, 1));
  t.test('sgd to bf16, within its bound', (t) => compare(t, sgd(0, false), 'bf16', small, ramp, 1e6));
  t.end();
});

t.test('a large layer: no bracket, one that holds, one that misses', (t) => {
  const layers = [70_003, 33, 70_001];
  const leap = [
    [0, 0.5, 0.3],
    [0.5, 0.5, 0.3],
    [0.5, 0.5, 0.9],
    [0.501, 0, 0.901],
    [0.1, 1, 0.901],
  ];
  t.test('adamW to bf16', (t) => compare(t, adam(true), 'bf16', layers, leap));
  t.test('momentum', (t) => compare(t, sgd(0.9, false), 'f32', layers, leap));
  t.test('momentum to bf16, clipped', (t) => compare(t, sgd(0.9, false), 'bf16', layers, leap, 1));
  t.end();
});
