import { checkOptions } from '../core/errors.js';
import { type OpCase, type RefArray, defineOp } from '../core/op.js';
import { run, slots } from '../core/run.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { type GeluOptions, geluGradOp, geluOp } from './gelu.js';
import { matmulOp, matmulThunk } from './matmul.js';
import { reluGradOp } from './relu.js';

const inputs = { x: 'diff', weight: 'diff', bias: 'diff?' } as const;
const asLinear = { transA: false, transB: true };

function outputShape(op: string, x: Shape, weight: Shape, bias: Shape | undefined): Shape {
  if (x.length < 2 || weight.length !== 2 || x[x.length - 1] !== weight[1]) {
    throw shapeError(
      op,
      `x of shape ${showShape(x)} and weight of shape ${showShape(weight)}`,
      'x [..., in] of two axes or more and weight [out, in]',
    );
  }
  const out = weight[0] as number;
  needShape(op, 'bias', bias, [out]);
  return [...x.slice(0, -1), out];
}

interface Operands {
  readonly x: RefArray;
  readonly weight: RefArray;
  readonly bias: RefArray | undefined;
}

/** `x weight^T + bias`, element by element. */
function sums({ x, weight, bias }: Operands, use: (i: number, sum: number) => void): void {
  const [out, depth] = weight.shape as [number, number];
  const rows = sizeOf(x.shape.slice(0, -1));
  for (let row = 0; row < rows; row++)
    for (let o = 0; o < out; o++) {
      let sum = bias === undefined ? 0 : (bias.data[o] as number);
      for (let k = 0; k < depth; k++)
        sum += (x.data[row * depth + k] as number) * (weight.data[o * depth + k] as number);
      use(row * out + o, sum);
    }
}

const shaped = (attrs: Record<string, unknown>): OpCase[] => [
  { inputs: { x: [3, 4], weight: [5, 4], bias: [5] }, attrs },
  { inputs: { x: [2, 3, 8], weight: [16, 8] }, attrs },
  { inputs: { x: [0, 4], weight: [5, 4], bias: [5] }, attrs },
  { inputs: { x: [2, 4], weight: [0, 4] }, attrs },
  { name: 'no products: the bias alone', inputs: { x: [3, 0], weight: [4, 0], bias: [4] }, attrs },
  { name: 'many tiles', inputs: { x: [300, 67], weight: [264, 67], bias: [264] }, attrs, grad: false },
  { name: 'long sums', inputs: { x: [24, 1601], weight: [40, 1601], bias: [40] }, attrs, grad: false },
  {
    name: 'special values',
    inputs: {
      x: { shape: [3, 2], values: [NaN, 1, Infinity, 1, 0, 1] },
      weight: { shape: [2, 2], values: [1, 2, 0.5, 3] },
      bias: { shape: [2], values: [-2, 1] },
    },
    attrs,
    grad: false,
  },
  {
    inputs: { x: [3, 4], weight: [5, 3] },
    attrs,
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'weight [out, in]' },
  },
  { inputs: { x: [3, 4], weight: [5, 4], bias: [4] }, attrs, refuses: { code: 'ERR_SHAPE_MISMATCH', says: 'bias' } },
];
const bench: OpCase = {
  name: 'bench',
  inputs: { x: [512, 768], weight: [3072, 768], bias: [3072] },
  bench: true,
  grad: false,
};
const tolerance = { f32: 2e-5, bf16: 2e-2, why: 'sums of up to 1601 products; bf16 has 8 bits' };
const cost = ({ weight }: { weight: Shape }, { y }: { y: Shape }): { flops: number } => ({
  flops: 2 * sizeOf(y) * (weight[1] as number),
});

export const linearGeluOp = defineOp({
  name: 'linearGelu',
  inputs,
  // z: what gelu was applied to, for its gradient
  outputs: { y: 'diff', z: 'saved?' },
  attrs: { approximate: geluOp.attrs.approximate, keep: 'bool' },
  saves: ['x', 'weight', 'bias', 'z'],
  layouts: 'weight',
  cast: 'low',
  shapes({ x, weight, bias }, { keep }) {
    const y = outputShape('linearGelu', x, weight, bias);
    return { y, z: keep ? y : null };
  },
  backward({ saved: { x, weight, bias, z }, attrs: { approximate }, grads: { y: g } }) {
    // Not kept, it is computed once more.
    const before = z ?? run(matmulOp, { a: x, b: weight, bias }, asLinear).c;
    const thunks = matmulThunk(x, weight, asLinear, run(geluGradOp, { x: before, g }, { approximate }).dx);
    return { x: thunks.a, weight: thunks.b, bias: thunks.bias };
  },
  reference(operands, { y, z }, { approximate }) {
    const before = z ?? { ...y, data: new Float64Array(y.data.length) };
    sums(operands, (i, sum) => (before.data[i] = sum));
    geluOp.reference({ x: before }, { y }, { approximate }, {}, { seed: 0, position: 0 });
  },
  cases: [
    ...shaped({ approximate: 'none', keep: true }),
    ...shaped({ approximate: 'tanh', keep: true }),
    { inputs: { x: [5, 4], weight: [8, 4], bias: [8] }, attrs: { approximate: 'none', keep: false } },
    { inputs: { x: [2, 3, 4], weight: [7, 4] }, attrs: { approximate: 'tanh', keep: false } },
    {
      name: 'many tiles, nothing kept',
      inputs: { x: [270, 67], weight: [264, 67], bias: [264] },
      attrs: { approximate: 'tanh', keep: false },
      grad: false,
    },
    { ...bench, attrs: { approximate: 'none', keep: true } },
  ],
  tolerance,
  cost,
});

export const linearReluOp = defineOp({
  name: 'linearRelu',
  inputs,
  outputs: { y: 'diff' },
  saves: ['x', 'weight', 'y'],
  layouts: 'weight',
  cast: 'low',
  shapes: ({ x, weight, bias }) => ({ y: outputShape('linearRelu', x, weight, bias) }),
  backward({ saved: { x, weight, y }, grads: { y: g } }) {
    const thunks = matmulThunk(x, weight, asLinear, run(reluGradOp, { y, g }, {}).dx);
    return { x: thunks.a, weight: thunks.b, bias: thunks.bias };
  },
  reference(operands, { y }) {
    // NaN passes, -0 becomes 0.
    sums(operands, (i, sum) => (y.data[i] = sum <= 0 ? 0 : sum));
  },
  cases: [...shaped({}), bench],
  tolerance,
  cost,
});

/**
 * `y = gelu(x weight^T + bias)` in one pass: `x [..., in]` of two axes or more, `weight [out, in]`, `bias [out]`,
 * `y [..., out]`, f32 or bf16. The forms of gelu are those of `gelu`. A gradient for `x`, `weight` and `bias`; the sum
 * before gelu is kept for it when one of them requires a gradient. Sums accumulate in f32.
 *
 * @throws ERR_SHAPE_MISMATCH when these shapes do not fit, ERR_OPTION, ERR_ARGUMENT for another form
 */
export function linearGelu(x: Tensor, weight: Tensor, bias?: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('linearGelu', options, ['approximate']);
  const keep = slots.wouldRecord?.([x, weight, bias]) === true;
  return run(linearGeluOp, { x, weight, bias }, { approximate: options.approximate ?? 'none', keep }).y;
}

/**
 * `y = max(x weight^T + bias, 0)` in one pass: shapes and gradients as those of `linearGelu`; NaN stays NaN, and the
 * gradient at 0 is 0.
 *
 * @throws ERR_SHAPE_MISMATCH when these shapes do not fit
 */
export function linearRelu(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return run(linearReluOp, { x, weight, bias }, {}).y;
}
