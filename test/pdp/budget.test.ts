import t from 'tap';
import {
  type BudgetLayer,
  PDP,
  count,
  erkBudget,
  globalMagnitude,
  linearRamp,
  tableBudget,
  uniformBudget,
} from '../../src/pdp/index.js';
import { erkDensities } from '../../src/pdp/budget.js';

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
const layers = (...sizes: number[]): BudgetLayer[] => sizes.map((size, i) => ({ name: `l${i}`, shape: [size], size }));

t.test('count guards against binary fractions', (t) => {
  t.equal(count(0.29, 100), 29);
  t.equal(count(0.57, 100), 57);
  t.equal(count(0.9, 120), 108);
  t.equal(count(0.3, 10), 3);
  t.equal(count(0, 5), 0);
  t.end();
});

t.test('global magnitude: exact total, ties to earlier layers, no layer emptied', (t) => {
  const a = Float64Array.from([0.1, -0.2, 0.3, 4]);
  const b = Float64Array.from([1, 2, 3, -5, 6, 7]);
  t.strictSame(globalMagnitude([a, b], 0.5), [3, 2]);
  const ties = [new Float64Array(4).fill(1), new Float64Array(4).fill(1)];
  t.strictSame(globalMagnitude(ties, 0.5, Infinity), [4, 0]);
  t.strictSame(globalMagnitude(ties, 0.5), [3, 1], 'the guard keeps one');
  t.strictSame(globalMagnitude([a, b], 0.5, 0.5), [2, 3], 'a cap is made up elsewhere');
  t.strictSame(globalMagnitude([a, b], 0), [0, 0]);
  t.equal(sum(globalMagnitude([a, b], 0.79)), 7);
  t.throws(() => globalMagnitude([a, b], 0.9, 0.5), { code: 'ERR_ARGUMENT', message: /cannot be met/ });
  t.end();
});

t.test('uniform, ERK and tables meet the total', (t) => {
  for (const s of [0.1, 0.333, 0.5, 0.9]) {
    const l = layers(10, 33, 101);
    t.equal(sum(uniformBudget(l, s)), count(s, 144));
    t.equal(sum(erkBudget(l, s)), count(s, 144));
  }
  const shapes = [
    [64, 3, 3, 3],
    [128, 64, 3, 3],
    [128, 128, 1, 1],
    [10, 128],
  ];
  const expected = [1, 0.091968202, 0.539268092, 1];
  erkDensities(shapes, 0.2).forEach((d, i) => t.ok(Math.abs(d - (expected[i] as number)) < 1e-8));
  t.strictSame(tableBudget(layers(10, 20), { l0: 0.5, l1: 0.25 }), [5, 5]);
  t.throws(() => tableBudget(layers(10), { l0: 0.5, other: 0.1 }), { message: /No layer is called other/ });
  t.throws(() => new PDP({ sparsity: 0.9, allocation: 'global' as 'erk' }), {
    message: /'global'; needs one of .*erk/,
  });
  t.throws(() => tableBudget(layers(10), {}), { message: /no entry for l0/ });
  t.throws(() => tableBudget(layers(10), { l0: 1 }), { code: 'ERR_ARGUMENT' });
  t.end();
});

t.test('the linear ramp', (t) => {
  const at = (e: number): number => 0.85 * linearRamp(e, { warmup: 16, epsilon: 0.015, first: 1 });
  for (const [e, r] of [
    [15, 0],
    [16, 0.01275],
    [81, 0.8415],
    [82, 0.85],
    [99, 0.85],
  ] as const) {
    t.ok(Math.abs(at(e) - r) < 1e-12, `epoch ${e}`);
  }
  t.end();
});
