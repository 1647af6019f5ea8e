import { type DType, checkDType, isFloat } from '../core/dtype.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';

export const castOp = defineOp({
  name: 'cast',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { dtype: ['f32', 'bf16'] },
  types: ['f32', 'bf16', 'i32', 'u8'],
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  shapes: ({ x }) => ({ y: x }),
  backward: ({ grads: { y: g }, inputs: { x } }) => ({ x: () => cast(g, x.dtype) }),
  reference({ x }, { y }) {
    y.data.set(x.data);
  },
  cases: (['f32', 'bf16'] as const).flatMap((dtype) => [
    { inputs: { x: [3, 5, 17] }, attrs: { dtype } },
    { inputs: { x: [] }, attrs: { dtype } },
    { inputs: { x: [0, 3] }, attrs: { dtype } },
    {
      name: `special values to ${dtype}`,
      inputs: { x: { shape: [6], values: [NaN, Infinity, -Infinity, -0, 1e-40, 1] } },
      attrs: { dtype },
      dtypes: ['f32', 'bf16'] as const,
      grad: false,
    },
    { name: `bench to ${dtype}`, inputs: { x: [1 << 20] }, attrs: { dtype }, bench: true, grad: false },
  ]),
  tolerance: { f32: 5e-3, bf16: 1e-2, why: 'a gradient that passed through bf16 has 8 bits' },
});

export const castToIntegerOp = defineOp({
  name: 'castToInteger',
  inputs: { x: 'const' },
  outputs: { y: 'const' },
  attrs: { dtype: ['i32', 'u8'] },
  types: ['f32', 'bf16', 'i32', 'u8'],
  outputTypes: { y: (_, { dtype }) => dtype as DType },
  shapes: ({ x }) => ({ y: x }),
  reference({ x }, { y }, { dtype }) {
    const least = dtype === 'i32' ? -2147483648 : 0;
    const most = dtype === 'i32' ? 2147483647 : 255;
    for (let i = 0; i < x.data.length; i++) {
      const v = Math.trunc(x.data[i] as number);
      y.data[i] = Number.isNaN(v) ? 0 : Math.min(Math.max(v, least), most);
    }
  },
  cases: (['i32', 'u8'] as const).flatMap((dtype) => [
    { inputs: { x: [3, 5, 17] }, attrs: { dtype } },
    { inputs: { x: [0, 3] }, attrs: { dtype } },
    {
      name: `range, to ${dtype}`,
      inputs: {
        x: { shape: [12], values: [NaN, Infinity, -Infinity, 2.9, -2.9, -0.5, 255, 256, 1e10, -1e10, 2147483520, -1] },
      },
      attrs: { dtype },
      dtypes: ['f32', 'bf16'] as const,
    },
    {
      name: `range of i32, to ${dtype}`,
      inputs: { x: { shape: [5], values: [-2147483648, 2147483647, 300, -7, 200] } },
      attrs: { dtype },
      dtypes: ['i32'] as const,
    },
    { name: `bench to ${dtype}`, inputs: { x: [1 << 20] }, attrs: { dtype }, bench: true },
  ]),
});

/**
 * The same values in another dtype; the tensor itself when it has that dtype already. Floats round to the nearest
 * (ties to even). To i32 and u8 fractions are cut off, what is out of range becomes the nearest value in range, and NaN
 * becomes 0. The gradient passes between float dtypes only.
 *
 * @throws ERR_DTYPE when `dtype` is not one
 */
export function cast<D extends DType>(x: Tensor, dtype: D): Tensor<D> {
  checkDType('cast', dtype);
  if (x.alive('cast').dtype === dtype) return x as Tensor<D>;
  const to: DType = dtype;
  return (
    isFloat(to) ? run(castOp, { x }, { dtype: to }).y : run(castToIntegerOp, { x }, { dtype: to }).y
  ) as Tensor<D>;
}
