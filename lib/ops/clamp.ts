import { checkFits } from '../core/dtype.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp, type OpCase } from '../core/op.js';
import { run } from '../core/run.js';
import { needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

const special: OpCase = {
  name: 'special values',
  inputs: { x: { shape: [7], values: [NaN, Infinity, -Infinity, 0, -0, 1, -2] } },
  scalars: { min: -1, max: 0.5 },
  dtypes: ['f32', 'bf16'],
  grad: false,
};

export const clampOp = defineOp({
  name: 'clamp',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  scalars: { min: 'float', max: 'float' },
  types: ['f32', 'bf16', 'i32'],
  saves: ['x'],
  shapes: ({ x }) => ({ y: x }),
  backward: ({ saved: { x }, scalars, grads: { y: g } }) => ({
    x: () => run(clampGradOp, { x, g }, {}, { scalars }).dx,
  }),
  reference({ x }, { y }, _attrs, { min, max }) {
    for (let i = 0; i < x.data.length; i++) y.data[i] = Math.min(Math.max(x.data[i] as number, min), max);
  },
  cases: [
    { inputs: { x: [3, 5, 17] }, scalars: { min: -1, max: 1 } },
    { inputs: { x: [33] }, scalars: { min: -Infinity, max: 1 } },
    { inputs: { x: [33] }, scalars: { min: 0, max: Infinity } },
    { inputs: { x: [] }, scalars: { min: 0, max: 1 } },
    { inputs: { x: [0, 3] }, scalars: { min: 0, max: 1 } },
    special,
    { name: 'bench', inputs: { x: [1 << 20] }, scalars: { min: -1, max: 1 }, bench: true, grad: false },
  ],
});

export const clampGradOp = defineOp({
  name: 'clampGrad',
  inputs: { x: 'const', g: 'const' },
  outputs: { dx: 'const' },
  scalars: { min: 'float', max: 'float' },
  shapes({ x, g }) {
    needShape('clampGrad', 'g', g, x);
    return { dx: x };
  },
  reference({ x, g }, { dx }, _attrs, { min, max }) {
    for (let i = 0; i < dx.data.length; i++) {
      const inside = (x.data[i] as number) >= min && (x.data[i] as number) <= max;
      dx.data[i] = inside ? (g.data[i] as number) : 0;
    }
  },
  cases: [
    { inputs: { x: [4, 33], g: [4, 33] }, scalars: { min: -0.5, max: 1 } },
    { ...special, inputs: { ...special.inputs, g: [7] } },
  ],
});

export interface ClampOptions {
  /** Smallest value that passes (default: no limit). */
  min?: number;
  /** Largest value that passes (default: no limit). */
  max?: number;
}
/**
 * `y = min(max(x, min), max)`; NaN stays NaN. The gradient passes where `min <= x <= max` and is 0 elsewhere.
 *
 * @throws ERR_ARGUMENT when a limit is NaN, both are missing, or `min > max`; ERR_DTYPE when `x` is i32, which
 * cannot hold a limit
 */
export function clamp(x: Tensor, options: ClampOptions): Tensor {
  checkOptions('clamp', options, ['min', 'max']);
  const { min = -Infinity, max = Infinity } = options;
  if (!(min <= max) || (options.min === undefined && options.max === undefined)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `clamp: limits ${options.min} and ${options.max}; needs at least one number, and min no larger than max.`,
      { min, max },
    );
  }
  for (const limit of [min, max]) if (Number.isFinite(limit)) checkFits('clamp', x.dtype, limit);
  return run(clampOp, { x }, {}, { scalars: { min, max } }).y;
}
