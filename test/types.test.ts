// What the compiler must refuse. Each line after @ts-expect-error fails `tsc`; if one day it compiles, the directive
// itself becomes the error.
import t from 'tap';
import { type Tensor, defineOp, run, tensor } from '../lib/index.js';
import { Linear } from '../lib/nn/index.js';
import { SGD } from '../lib/optim/index.js';
import { PDP } from '../src/pdp/index.js';

const complete = {
  name: 'typesOnly',
  inputs: { a: 'diff', b: 'const?' },
  outputs: { y: 'diff' },
  attrs: { mode: ['up', 'down'], size: 'int' },
} as const;

export const wholeOp = defineOp({
  ...complete,
  saves: ['a'],
  shapes: ({ a }) => ({ y: a }),
  backward: ({ saved: { a }, grads: { y } }) => ({ a: () => (a.size > 0 ? y : a) }),
  reference: ({ a }, { y }) => y.data.set(a.data),
  cases: [],
});

export const mistakes = [
  () =>
    defineOp({
      ...complete,
      // @ts-expect-error an output without a shape
      shapes: () => ({}),
      reference: () => undefined,
      cases: [],
    }),
  () =>
    defineOp({
      ...complete,
      shapes: ({ a }) => ({ y: a }),
      // @ts-expect-error a differentiable input without a gradient
      backward: () => ({}),
      reference: () => undefined,
      cases: [],
    }),
  () =>
    defineOp({
      ...complete,
      shapes: ({ a }) => ({ y: a }),
      // @ts-expect-error backward sees only what is saved
      backward: ({ saved }) => ({ a: () => saved.a }),
      reference: () => undefined,
      cases: [],
    }),
  // @ts-expect-error an attribute is missing
  (x: Tensor) => run(wholeOp, { a: x }, { mode: 'up' }),
  // @ts-expect-error no such word
  (x: Tensor) => run(wholeOp, { a: x }, { mode: 'left', size: 1 }),
  // @ts-expect-error an input is missing
  () => run(wholeOp, {}, { mode: 'up', size: 1 }),
  // @ts-expect-error data() of an f32 tensor is a Float32Array
  (): Int32Array => tensor([1]).data(),
  // @ts-expect-error no such dtype
  () => tensor([1], { dtype: 'f17' }),
  // @ts-expect-error a misspelt option
  () => new Linear(1, 2, { bais: false }),
  // @ts-expect-error the sparsity is required
  () => new PDP({}),
  // @ts-expect-error a misspelt option
  (m: Linear) => new SGD(m.parameters(), { learningRate: 1 }),
  // @ts-expect-error a method that no op has
  (x: Tensor) => x.reluu(),
];

t.test('what is right compiles and runs', (t) => {
  const ints: Int32Array = tensor([1], { dtype: 'i32' }).data();
  const floats: Float32Array = tensor([1], { dtype: 'bf16' }).data();
  const y: Tensor = tensor([[1, -2]])
    .relu()
    .matmul(tensor([[1], [1]]));
  t.equal(ints[0], 1);
  t.equal(floats[0], 1);
  t.equal(y.item(), 1);
  t.equal(mistakes.length, 12);
  t.end();
});
