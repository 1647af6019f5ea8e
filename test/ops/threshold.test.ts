// The selection of thresholds that masks are cut at: whichever way a kernel finds them, they are the same.
import t, { type Test } from 'tap';
import { type Device, scope, tensor, threshold, type Tensor } from '../../lib/index.js';

const device = (process.env['SECATEUR_TEST_DEVICE'] ?? 'cpu') as Device;
const size = 300_000;

/** By sorting: levels and counts of one layer. */
function sorted(values: Float32Array, k: number): { levels: number[]; counts: number[] } {
  const order = values.map(Math.abs).sort();
  const lower = order[k - 1] as number;
  const upper = order[Math.min(k, order.length - 1)] as number;
  const ties = order.subarray(0, k).filter((x) => x === lower).length;
  return { levels: [lower, upper, Math.fround(0.5 * lower + 0.5 * upper)], counts: [k, ties] };
}

function found(t: Test, values: Float32Array, k: number, state: Tensor | undefined, name: string): void {
  scope(() => {
    const at = threshold([tensor(values, { device })], [k], state);
    const expected = sorted(values, k);
    t.strictSame([...at.levels.data()], expected.levels, `levels ${name}`);
    t.strictSame([...at.counts.data()], expected.counts, `counts ${name}`);
  });
}

t.test('the carried state of a threshold never changes a result', (t) => {
  const state = tensor(new Int32Array(2), { dtype: 'i32', shape: [1, 2], device });
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * i));
  const drift = (): void => values.forEach((x, i) => (values[i] = x * (1 + 1e-3 * Math.sin(i))));
  const step = (k: number, name: string): void => {
    found(t, values, k, state, name);
  };
  step(0.9 * size, 'without a bracket');
  t.ok(
    state.data().some((x) => x !== 0),
    'the state is in use',
  );
  drift();
  step(0.9 * size, 'inside the bracket');
  drift();
  step(0.915 * size, 'beside the bracket');
  values.forEach((x, i) => (values[i] = x * 50));
  step(0.915 * size, 'far from the bracket');
  step(1, 'the smallest');
  step(size, 'the largest');
  const wrong = tensor(Int32Array.of(-5, -7), { dtype: 'i32', shape: [1, 2], device });
  found(t, values, 1000, wrong, 'with a state that is none');
  t.end();
});

t.test('few distinct magnitudes', (t) => {
  // 30 % of one, 2 % of the next, 68 % of a third: a bracket around the second holds more than it has room for.
  const values = Float32Array.from({ length: size }, (_, i) => (i % 50 < 15 ? -0.5 : i % 50 < 16 ? 1 : 2));
  const state = tensor(new Int32Array(2), { dtype: 'i32', shape: [1, 2], device });
  for (const k of [0.31 * size, 0.32 * size, 0.32 * size + 1, 0.3 * size, size - 1]) {
    found(t, values, k, undefined, `of ${k} entries`);
    found(t, values, k, state, `of ${k} entries with a state`);
  }
  found(t, new Float32Array(size), 7, undefined, 'of zeros');
  t.end();
});

t.test('layers of every size in one call', (t) => {
  const layers = [1, 0, 5000, 16384, 16385, 70_000].map((n) =>
    Float32Array.from({ length: n }, (_, i) => Math.cos(i * i)),
  );
  const k = layers.map((values) => Math.floor(values.length * 0.6));
  const state = tensor(new Int32Array(2 * layers.length), { dtype: 'i32', shape: [layers.length, 2], device });
  for (const name of ['first', 'again']) {
    scope(() => {
      const at = threshold(
        layers.map((values) => tensor(values, { device })),
        k,
        state,
      );
      const levels = at.levels.data();
      layers.forEach((values, l) => {
        if ((k[l] as number) > 0)
          t.strictSame([...levels.subarray(3 * l, 3 * l + 3)], sorted(values, k[l] as number).levels, `${name} ${l}`);
        else t.ok(Number.isNaN(levels[3 * l]), `${name} ${l}: nothing to cut`);
      });
    });
  }
  t.end();
});
