// The selection of thresholds that masks are cut at.
import t from 'tap';
import { scope, tensor, threshold } from '../../lib/index.js';

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
