// The pruning ops against the golden numbers of PDP.
import t, { type Test } from 'tap';
import {
  type Tensor,
  applyHardMask,
  channelMask,
  channelNorm,
  channelWeight,
  hardMask,
  mul,
  nmHardMask,
  nmSoftWeight,
  pdpWeight,
  scope,
  sumTo,
  tensor,
  threshold,
  thresholdRow,
} from '../../lib/index.js';
import type { Device } from '../../lib/core/device.js';
import { compared, openGolden, relativeError } from '../golden/goldenFile.js';

interface PdpSettings {
  elem: { cases: { key: string; tau: number; pruned: number }[] };
  worked: { r: number; tau: number };
  nm: {
    cases: { key: string; N: number; M: number; tau: number; weight: string; upstream: string; layout: string }[];
  };
  chan: { cases: { key: string; tau: number; pruned: number }[] };
}
const golden = openGolden<PdpSettings>('methods/pdp');

function gradientOf(w: Tensor, y: Tensor, g: Tensor): Float64Array {
  sumTo(mul(y, g), []).backward();
  const grad = (w.grad as Tensor).doubles();
  w.grad?.dispose();
  w.grad = undefined;
  return grad;
}

for (const { device, allowed } of compared) {
  const near = (t: Test, x: ArrayLike<number>, y: ArrayLike<number>, what: string): void => {
    const error = relativeError(x, y);
    t.ok(error <= allowed, `${what}: ${error.toExponential(1)}`);
  };

  t.test(`elementwise masks on ${device}`, (t) => {
    for (const { key, tau, pruned } of golden.settings.elem.cases) {
      scope(() => {
        const w = golden.place('elem/w', device, true);
        const g = golden.place('elem/g', device);
        const row = thresholdRow(threshold([w], [pruned]), 0);
        if (pruned > 0) near(t, [row.levels.doubles()[2] as number], golden.values(`${key}/t`), `${key} t`);
        const y = pdpWeight(w, row, { tau });
        near(t, y.doubles(), golden.values(`${key}/out`), `${key} out`);
        near(t, gradientOf(w, y, g), golden.values(`${key}/grad`), `${key} grad`);
        if (pruned === 0) t.strictSame(y.data(), w.data(), `${key} bit for bit`);
        if (golden.has(`${key}/grad_through_t`)) {
          const through = gradientOf(w, pdpWeight(w, row, { tau, throughThreshold: true }), g);
          near(t, through, golden.values(`${key}/grad_through_t`), `${key} grad through t`);
        }
        near(t, applyHardMask(w, row).doubles(), golden.values(`${key}/hard`), `${key} hard`);
        t.equal(
          hardMask(w, row)
            .doubles()
            .reduce((a, b) => a + b, 0),
          w.size - pruned,
          `${key} kept`,
        );
      });
    }
    scope(() => {
      const { r, tau } = golden.settings.worked;
      const w = golden.place('worked/w', device, true);
      const row = thresholdRow(threshold([w], [Math.floor(r * w.size + 1e-6)]), 0);
      const y = pdpWeight(w, row, { tau });
      near(t, y.doubles(), golden.values('worked/out'), 'worked out');
      const ones = tensor(new Float32Array(w.size).fill(1), { shape: w.shape, device });
      near(t, gradientOf(w, y, ones), golden.values('worked/grad_of_sum'), 'worked grad');
    });
    t.end();
  });

  t.test(`N:M masks on ${device}`, (t) => {
    for (const { key, N: n, M: m, tau, weight, upstream, layout } of golden.settings.nm.cases) {
      scope(() => {
        // Groups are runs in the file's order, or in that of [O, kh, kw, I].
        const nhwc = layout === 'nhwc';
        const from = (name: string): Tensor => grouped(golden.values(name), golden.shape(name), nhwc, m, device);
        const w = from(weight);
        w.requiresGrad = true;
        const y = nmSoftWeight(w, { n, m, tau });
        const mask = from(`${key}/m`).doubles();
        near(
          t,
          y.doubles(),
          mask.map((x, i) => x * (w.doubles()[i] as number)),
          `${key} out`,
        );
        near(t, gradientOf(w, y, from(upstream)), from(`${key}/grad`).doubles(), `${key} grad`);
        t.strictSame(nmHardMask(w, { n, m }).data(), from(`${key}/hard_mask`).data(), `${key} hard mask`);
      });
    }
    t.end();
  });

  t.test(`channel masks on ${device}`, (t) => {
    for (const { key, tau, pruned } of golden.settings.chan.cases) {
      scope(() => {
        const w = golden.place('chan/w', device, true);
        const norm = channelNorm(w);
        const row = thresholdRow(threshold([norm], [pruned]), 0);
        const mask = channelMask(norm, row, { tau });
        near(t, [row.levels.doubles()[2] as number], golden.values(`${key}/t`), `${key} t`);
        near(t, mask.doubles(), golden.values(`${key}/m`), `${key} m`);
        const grad = gradientOf(w, channelWeight(w, mask), golden.place('chan/g', device));
        near(t, grad, golden.values(`${key}/grad`), `${key} grad`);
      });
    }
    t.end();
  });
}

/** A weight as rows of groups: in its own order, or permuted to [O, kh, kw, I] first. */
function grouped(x: Float64Array, shape: readonly number[], nhwc: boolean, m: number, device: Device): Tensor {
  let values = x;
  if (nhwc) {
    const [, i, h, w] = shape as [number, number, number, number];
    values = new Float64Array(x.length);
    for (let at = 0; at < x.length; at++) {
      const [a, b, c] = [Math.floor(at / (i * h * w)), Math.floor(at / (h * w)) % i, at % (h * w)];
      values[(a * h * w + c) * i + b] = x[at] as number;
    }
  }
  return tensor(values, { shape: [x.length / m, m], dtype: 'f32', device });
}

t.test('the carried state of a threshold never changes a result', (t) => {
  const size = 300_000;
  const state = tensor(new Int32Array(4), { dtype: 'i32', shape: [2, 2] });
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * i));
  for (let step = 0; step < 4; step++) {
    scope(() => {
      for (let i = 0; i < size; i++) values[i] = (values[i] as number) * (step === 3 ? 50 : 1 + 1e-3 * Math.sin(i));
      const layers = [tensor(values), tensor(values.subarray(0, 1000))];
      const k = [size * 0.9, 100 + 100 * step];
      const warm = threshold(layers, k, state);
      const cold = threshold(layers, k);
      t.strictSame(warm.levels.data(), cold.levels.data(), `levels of step ${step}`);
      t.strictSame(warm.counts.data(), cold.counts.data(), `counts of step ${step}`);
    });
  }
  t.ok(
    state.data().some((x) => x !== 0),
    'the state is in use',
  );
  t.end();
});
