import { isFloat } from '../core/dtype.js';
import { defineOp, type OpCase, type Thunk } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, broadcastShapes, needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { affine, affine_ } from './affine.js';
import { sumThunk, sumTo } from './broadcast.js';
import { withOperand } from './number.js';
import { broadcastIndex, pointwise2 } from './pointwise.js';

const broadcasts: readonly OpCase[] = [
  { inputs: { a: [4, 5], b: [4, 5] } },
  { inputs: { a: [], b: [3] } },
  { inputs: { a: [2, 3, 4], b: [4] } },
  { inputs: { a: [2, 1, 4], b: [3, 1] } },
  { inputs: { a: [5, 1], b: [1, 6] } },
  { inputs: { a: [0, 3], b: [3] } },
  {
    name: 'shapes that do not broadcast',
    inputs: { a: [2, 3], b: [4] },
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
  },
];
const special: OpCase = {
  name: 'special values',
  inputs: {
    a: { shape: [9], values: [NaN, 1, Infinity, -Infinity, Infinity, 0, -0, 1, -1] },
    b: { shape: [9], values: [1, NaN, 1, 2, -Infinity, 0, 2, 0, Infinity] },
  },
  dtypes: ['f32', 'bf16'],
  grad: false,
};
const large: OpCase = { name: 'bench', inputs: { a: [1 << 20], b: [1 << 20] }, bench: true, grad: false };

export const addOp = defineOp({
  name: 'add',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  cast: 'widest',
  aliases: { y: 'a' },
  shapes: ({ a, b }) => ({ y: broadcastShapes('add', a, b) }),
  backward: ({ grads: { y: g }, inputs: { a, b } }) => ({ a: sumThunk(g, a.shape), b: sumThunk(g, b.shape) }),
  reference: pointwise2((a, b) => a + b),
  cases: [...broadcasts, special, large],
});
/**
 * `y = a + b`, broadcasting; a gradient for both. `b` may be a number. On i32 sums wrap around.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE when the dtypes differ or i32 cannot hold the number
 */
export function add(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine(a, 1, b);
  return withOperand('add', b, a, (t) => run(addOp, { a, b: t }, {}).y);
}
/** `a += b` in place; `b` is a number or broadcasts to the shape of `a`. */
export function add_(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine_(a, 1, b);
  return withOperand('add_', b, a, (t) => run(addOp, { a, b: t }, {}, { into: a }).y);
}

export const subOp = defineOp({
  name: 'sub',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  cast: 'widest',
  aliases: { y: 'a' },
  shapes: ({ a, b }) => ({ y: broadcastShapes('sub', a, b) }),
  backward: ({ grads: { y: g }, inputs: { a, b } }) => ({
    a: sumThunk(g, a.shape),
    b: () => affine(sumTo(g, b.shape), -1, -0),
  }),
  reference: pointwise2((a, b) => a - b),
  cases: [...broadcasts, special, large],
});
/**
 * `y = a - b`, broadcasting; a gradient for both. `b` may be a number. On i32 differences wrap around.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE when the dtypes differ or i32 cannot hold the number
 */
export function sub(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine(a, 1, -b);
  return withOperand('sub', b, a, (t) => run(subOp, { a, b: t }, {}).y);
}
/** `a -= b` in place; `b` is a number or broadcasts to the shape of `a`. */
export function sub_(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine_(a, 1, -b);
  return withOperand('sub_', b, a, (t) => run(subOp, { a, b: t }, {}, { into: a }).y);
}

export const mulOp = defineOp({
  name: 'mul',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  cast: 'widest',
  saves: ['a', 'b'],
  aliases: { y: 'a' },
  shapes: ({ a, b }) => ({ y: broadcastShapes('mul', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: () => sumTo(mul(g, b), a.shape),
    b: () => sumTo(mul(g, a), b.shape),
  }),
  reference: pointwise2((a, b) => a * b),
  cases: [...broadcasts, special, large],
});
/**
 * `y = a b`, element by element, broadcasting; a gradient for both. `b` may be a number, and then nothing is saved.
 * On i32 products wrap around.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE when the dtypes differ or i32 cannot hold the number
 */
export function mul(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine(a, b, -0);
  return withOperand('mul', b, a, (t) => run(mulOp, { a, b: t }, {}).y);
}
/** `a *= b` in place; `b` is a number or broadcasts to the shape of `a`. */
export function mul_(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number' && isFloat(a.dtype)) return affine_(a, b, -0);
  return withOperand('mul_', b, a, (t) => run(mulOp, { a, b: t }, {}, { into: a }).y);
}

export const divOp = defineOp({
  name: 'div',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  cast: 'widest',
  saves: ['a', 'b'],
  aliases: { y: 'a' },
  shapes: ({ a, b }) => ({ y: broadcastShapes('div', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: () => sumTo(div(g, b), a.shape),
    b: () => affine(sumTo(mul(div(g, b), div(a, b)), b.shape), -1, -0),
  }),
  reference: pointwise2((a, b) => a / b),
  cases: [
    { inputs: { a: [4, 5], b: { shape: [4, 5], draw: 'positive' } } },
    { inputs: { a: [], b: { shape: [3], draw: 'positive' } } },
    { inputs: { a: [2, 3, 4], b: { shape: [4], draw: 'positive' } } },
    { inputs: { a: [2, 1, 4], b: { shape: [3, 1], draw: 'positive' } } },
    { inputs: { a: [0, 3], b: [3] } },
    {
      name: 'shapes that do not broadcast',
      inputs: { a: [2, 3], b: [4] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
    },
    {
      name: 'whole numbers',
      inputs: { a: { shape: [3], dtype: 'i32' }, b: [3] },
      refuses: { code: 'ERR_DTYPE', says: 'cast' },
    },
    special,
    large,
  ],
});
// A number's reciprocal, where multiplying by it means the same.
function reciprocal(b: number): number | undefined {
  const inverse = 1 / b;
  return Number.isFinite(Math.fround(inverse)) && Math.fround(inverse) !== 0 ? inverse : undefined;
}
/**
 * `y = a / b`, broadcasting; a gradient for both. `b` may be a number: then `a` is multiplied by its reciprocal.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE when the dtypes differ or are integers (cast first)
 */
export function div(a: Tensor, b: Tensor | number): Tensor {
  const inverse = typeof b === 'number' && isFloat(a.dtype) ? reciprocal(b) : undefined;
  if (inverse !== undefined) return affine(a, inverse, -0);
  return withOperand('div', b, a, (t) => run(divOp, { a, b: t }, {}).y);
}
/** `a /= b` in place; `b` is a number or broadcasts to the shape of `a`. */
export function div_(a: Tensor, b: Tensor | number): Tensor {
  const inverse = typeof b === 'number' && isFloat(a.dtype) ? reciprocal(b) : undefined;
  if (inverse !== undefined) return affine_(a, inverse, -0);
  return withOperand('div_', b, a, (t) => run(divOp, { a, b: t }, {}, { into: a }).y);
}

// IEEE's pow: JavaScript gives NaN for 1^NaN and (-1)^infinity.
function power(a: number, b: number): number {
  return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b;
}

export const powOp = defineOp({
  name: 'pow',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  cast: 'widest',
  saves: ['a', 'b'],
  shapes: ({ a, b }) => ({ y: broadcastShapes('pow', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: () => sumTo(run(powGradOp, { a, b, g }, { of: 'base' }).d, a.shape),
    b: () => sumTo(run(powGradOp, { a, b, g }, { of: 'exponent' }).d, b.shape),
  }),
  reference: pointwise2(power),
  cases: [
    { inputs: { a: { shape: [4, 5], draw: 'positive' }, b: [4, 5] } },
    { inputs: { a: { shape: [2, 3, 4], draw: 'positive' }, b: [4] } },
    { inputs: { a: { shape: [2, 1, 4], draw: 'positive' }, b: [3, 1] } },
    { inputs: { a: { shape: [3, 7], draw: 'positive' }, b: { shape: [], values: [2] } } },
    { name: 'square', inputs: { a: [3, 7], b: { shape: [], values: [2] } }, grad: false },
    { inputs: { a: { shape: [0, 3], draw: 'positive' }, b: [3] } },
    {
      name: 'special values',
      inputs: {
        a: { shape: [10], values: [NaN, 1, 0, -0, 0, -8, -2, Infinity, -1, 1] },
        b: { shape: [10], values: [0, NaN, 0, -1, 2, 3, 0.5, -1, Infinity, Infinity] },
      },
      grad: false,
    },
    {
      inputs: { a: [2, 3], b: [4] },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
    },
    { name: 'bench', inputs: { a: { shape: [1 << 20], draw: 'positive' }, b: [1 << 20] }, bench: true, grad: false },
  ],
});

export const powGradOp = defineOp({
  name: 'powGrad',
  inputs: { a: 'const', b: 'const', g: 'const' },
  outputs: { d: 'const' },
  attrs: { of: ['base', 'exponent'] },
  shapes({ a, b, g }) {
    needShape('powGrad', 'g', g, broadcastShapes('powGrad', a, b));
    return { d: g };
  },
  reference({ a, b, g }, { d }, { of }) {
    const ia = broadcastIndex(a.shape, d.shape);
    const ib = broadcastIndex(b.shape, d.shape);
    for (let i = 0; i < d.data.length; i++) {
      const x = a.data[ia(i)] as number;
      const p = b.data[ib(i)] as number;
      const flat = of === 'base' ? p === 0 : x === 0 && p >= 0;
      const slope = of === 'base' ? p * power(x, p - 1) : power(x, p) * Math.log(x);
      d.data[i] = flat ? 0 : (g.data[i] as number) * slope;
    }
  },
  cases: (['base', 'exponent'] as const).flatMap((of) => [
    { inputs: { a: { shape: [4, 1], draw: 'positive' as const }, b: [5], g: [4, 5] }, attrs: { of } },
    {
      name: `special values, ${of}`,
      inputs: {
        a: { shape: [6], values: [0, 0, 0, 3, NaN, -2] },
        b: { shape: [6], values: [0, 2, -1, 0, 0, 3] },
        g: { shape: [6], values: [Infinity, 2, 1, Infinity, 1, -1] },
      },
      attrs: { of },
    },
  ]),
});
/**
 * `y = a^b`, broadcasting; a gradient for both. `b` may be a number. NaN where IEEE's `pow` says so, as for a negative
 * base with a broken exponent. The gradient for `a` is `b a^(b-1)`, 0 where `b = 0`; for `b` it is `y ln a`, 0 where
 * `a = 0` and `b >= 0`.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE
 */
export function pow(a: Tensor, b: Tensor | number): Tensor {
  return withOperand('pow', b, a, (t) => run(powOp, { a, b: t }, {}).y);
}

type Extremum = 'maximum' | 'minimum';

function extremumThunk(which: Extremum, mine: Tensor, other: Tensor, g: Tensor, shape: Shape): Thunk {
  return () => sumTo(run(extremumGradOp, { mine, other, g }, { which }).d, shape);
}

const ties: OpCase = {
  name: 'ties',
  inputs: {
    a: { shape: [6], values: [1, 2, 3, NaN, 5, -0] },
    b: { shape: [6], values: [1, 3, 2, 4, NaN, 0] },
  },
  dtypes: ['f32', 'bf16'],
  grad: false,
};

export const maximumOp = defineOp({
  name: 'maximum',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  cast: 'widest',
  saves: ['a', 'b'],
  shapes: ({ a, b }) => ({ y: broadcastShapes('maximum', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: extremumThunk('maximum', a, b, g, a.shape),
    b: extremumThunk('maximum', b, a, g, b.shape),
  }),
  reference: pointwise2(Math.max),
  cases: [...broadcasts, special, ties, large],
});
/**
 * The larger of `a` and `b`, broadcasting; `b` may be a number. NaN in either gives NaN. The gradient goes to the larger
 * one; at a tie each gets half.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE
 */
export function maximum(a: Tensor, b: Tensor | number): Tensor {
  return withOperand('maximum', b, a, (t) => run(maximumOp, { a, b: t }, {}).y);
}

export const minimumOp = defineOp({
  name: 'minimum',
  inputs: { a: 'diff', b: 'diff' },
  outputs: { y: 'diff' },
  types: ['f32', 'bf16', 'i32'],
  cast: 'widest',
  saves: ['a', 'b'],
  shapes: ({ a, b }) => ({ y: broadcastShapes('minimum', a, b) }),
  backward: ({ saved: { a, b }, grads: { y: g } }) => ({
    a: extremumThunk('minimum', a, b, g, a.shape),
    b: extremumThunk('minimum', b, a, g, b.shape),
  }),
  reference: pointwise2(Math.min),
  cases: [...broadcasts, special, ties, large],
});
/**
 * The smaller of `a` and `b`, broadcasting; `b` may be a number. NaN in either gives NaN. The gradient goes to the
 * smaller one; at a tie each gets half.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE
 */
export function minimum(a: Tensor, b: Tensor | number): Tensor {
  return withOperand('minimum', b, a, (t) => run(minimumOp, { a, b: t }, {}).y);
}

export const extremumGradOp = defineOp({
  name: 'extremumGrad',
  inputs: { mine: 'const', other: 'const', g: 'const' },
  outputs: { d: 'const' },
  attrs: { which: ['maximum', 'minimum'] },
  shapes({ mine, other, g }) {
    needShape('extremumGrad', 'g', g, broadcastShapes('extremumGrad', mine, other));
    return { d: g };
  },
  reference({ mine, other, g }, { d }, { which }) {
    const im = broadcastIndex(mine.shape, d.shape);
    const io = broadcastIndex(other.shape, d.shape);
    for (let i = 0; i < d.data.length; i++) {
      const m = mine.data[im(i)] as number;
      const o = other.data[io(i)] as number;
      const lost = which === 'maximum' ? m < o : m > o;
      d.data[i] = lost ? 0 : (g.data[i] as number) / (m === o ? 2 : 1);
    }
  },
  cases: (['maximum', 'minimum'] as const).flatMap((which) => [
    { inputs: { mine: [4, 1], other: [5], g: [4, 5] }, attrs: { which } },
    {
      name: `ties and NaN, ${which}`,
      inputs: {
        mine: { shape: [4], values: [1, 2, NaN, 1] },
        other: { shape: [4], values: [1, 1, 1, NaN] },
        g: [4],
      },
      attrs: { which },
    },
  ]),
});
