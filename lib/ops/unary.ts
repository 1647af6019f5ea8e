import { defineOp, type OpCase, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { div, mul } from './binary.js';
import { erfOf } from './erf.js';
import { pointwise } from './pointwise.js';

const special: OpCase = {
  name: 'special values',
  inputs: { x: { shape: [9], values: [NaN, Infinity, -Infinity, 0, -0, 1, -1, 1e-30, -80] } },
  grad: false,
};

/** What pointwise functions of one tensor share. `draw` keeps cases where the function is smooth. */
function unary(name: string, f: (x: number) => number, draw: 'normal' | 'positive' | 'away' = 'normal') {
  return {
    name,
    inputs: { x: 'diff' },
    outputs: { y: 'diff' },
    shapes: ({ x }: { x: Shape }) => ({ y: x }),
    reference: pointwise(f),
    cases: [
      { inputs: { x: { shape: [], draw } } },
      { inputs: { x: { shape: [0, 3], draw } } },
      { inputs: { x: { shape: [7], draw } } },
      { inputs: { x: { shape: [3, 5, 17], draw } } },
      special,
      { name: 'bench', inputs: { x: { shape: [1 << 20], draw } }, bench: true, grad: false },
    ],
  } as const;
}

/** A gradient in one pass, `dx = g f'`, from what the function saved: its argument or its result. */
function slope(name: string, f: (saved: number) => number, values: readonly number[]) {
  return {
    name,
    inputs: { saved: 'const', g: 'const' },
    outputs: { dx: 'const' },
    shapes({ saved, g }: { saved: Shape; g: Shape }): { dx: Shape } {
      needShape(name, 'g', g, saved);
      return { dx: g };
    },
    reference({ saved, g }: { saved: RefArray; g: RefArray }, { dx }: { dx: RefArray }): void {
      for (let i = 0; i < dx.data.length; i++) dx.data[i] = (g.data[i] as number) * f(saved.data[i] as number);
    },
    cases: [
      { inputs: { saved: { shape: [4, 33], draw: 'unit' }, g: [4, 33] } },
      { inputs: { saved: [0], g: [0] } },
      {
        name: 'special values',
        inputs: { saved: { shape: [values.length], values }, g: { shape: [values.length], values: [1, -2] } },
      },
      { name: 'bench', inputs: { saved: [1 << 20], g: [1 << 20] }, bench: true },
    ],
  } as const;
}

export const negOp = defineOp({
  ...unary('neg', (x) => -x),
  types: ['f32', 'bf16', 'i32'],
  cases: [...unary('neg', (x) => -x).cases.filter((c) => c !== special), { ...special, dtypes: ['f32', 'bf16'] }],
  backward: ({ grads: { y: g } }) => ({ x: () => neg(g) }),
});
/** `y = -x`, any shape; also on i32. */
export function neg(x: Tensor): Tensor {
  return run(negOp, { x }, {}).y;
}

export const absOp = defineOp({
  ...unary('abs', Math.abs, 'away'),
  types: ['f32', 'bf16', 'i32'],
  cases: [
    ...unary('abs', Math.abs, 'away').cases.filter((c) => c !== special),
    { ...special, dtypes: ['f32', 'bf16'] },
  ],
  saves: ['x'],
  backward: ({ saved: { x }, grads: { y: g } }) => ({ x: () => mul(g, sign(x)) }),
});
/** `y = |x|`, any shape; also on i32. The gradient is `g sign(x)`, 0 at 0. */
export function abs(x: Tensor): Tensor {
  return run(absOp, { x }, {}).y;
}

export const signOp = defineOp({
  ...unary('sign', Math.sign, 'away'),
  backward: ({ grads: { y: g } }) => ({ x: () => mul(g, 0) }),
});
/** -1, 0 or 1 by the sign of `x`; NaN stays NaN. The gradient is 0. */
export function sign(x: Tensor): Tensor {
  return run(signOp, { x }, {}).y;
}

export const sqrtOp = defineOp({
  ...unary('sqrt', Math.sqrt, 'positive'),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => div(mul(g, 0.5), y) }),
});
/** `y = sqrt(x)`; NaN below 0. The gradient is `g / (2 y)`. */
export function sqrt(x: Tensor): Tensor {
  return run(sqrtOp, { x }, {}).y;
}

export const rsqrtOp = defineOp({
  ...unary('rsqrt', (x) => 1 / Math.sqrt(x), 'positive'),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => mul(mul(g, -0.5), mul(y, mul(y, y))) }),
  tolerance: { bf16: 2e-2, why: 'the gradient is -y^3 / 2 with y and each product rounded to bf16' },
});
/** `y = 1 / sqrt(x)`; infinity at 0, NaN below. The gradient is `-g y^3 / 2`. */
export function rsqrt(x: Tensor): Tensor {
  return run(rsqrtOp, { x }, {}).y;
}

export const expOp = defineOp({
  ...unary('exp', Math.exp),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => mul(g, y) }),
});
/** `y = e^x`, any shape. The gradient is `g y`. */
export function exp(x: Tensor): Tensor {
  return run(expOp, { x }, {}).y;
}

export const logOp = defineOp({
  ...unary('log', Math.log, 'positive'),
  saves: ['x'],
  backward: ({ saved: { x }, grads: { y: g } }) => ({ x: () => div(g, x) }),
});
/** Natural logarithm; -infinity at 0, NaN below. The gradient is `g / x`. */
export function log(x: Tensor): Tensor {
  return run(logOp, { x }, {}).y;
}

export const erfOp = defineOp({
  ...unary('erf', erfOf),
  saves: ['x'],
  backward: ({ saved: { x }, grads: { y: g } }) => ({
    x: () => mul(mul(g, exp(neg(mul(x, x)))), 2 / Math.sqrt(Math.PI)),
  }),
});
/** Error function `2/sqrt(pi) int_0^x e^(-t^2) dt`. The gradient is `g 2/sqrt(pi) e^(-x^2)`. */
export function erf(x: Tensor): Tensor {
  return run(erfOp, { x }, {}).y;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export const sigmoidOp = defineOp({
  ...unary('sigmoid', logistic),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => run(sigmoidGradOp, { saved: y, g }, {}).dx }),
});
export const sigmoidGradOp = defineOp(slope('sigmoidGrad', (y) => y * (1 - y), [NaN, 0, 1, 0.5]));
/** Logistic function `y = 1 / (1 + e^-x)`. The gradient is `g y (1 - y)`. */
export function sigmoid(x: Tensor): Tensor {
  return run(sigmoidOp, { x }, {}).y;
}

export const tanhOp = defineOp({
  ...unary('tanh', Math.tanh),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => run(tanhGradOp, { saved: y, g }, {}).dx }),
});
export const tanhGradOp = defineOp(slope('tanhGrad', (y) => 1 - y * y, [NaN, 0, 1, -1, 0.5]));
/** Hyperbolic tangent. The gradient is `g (1 - y^2)`. */
export function tanh(x: Tensor): Tensor {
  return run(tanhOp, { x }, {}).y;
}

export const siluOp = defineOp({
  ...unary('silu', (x) => x * logistic(x)),
  saves: ['x'],
  backward: ({ saved: { x }, grads: { y: g } }) => ({ x: () => run(siluGradOp, { saved: x, g }, {}).dx }),
});
export const siluGradOp = defineOp(
  slope('siluGrad', (x) => logistic(x) * (1 + x * (1 - logistic(x))), [NaN, 0, 30, -30, 1]),
);
/** `y = x / (1 + e^-x)`, also called swish. The gradient is `g s (1 + x (1 - s))` with `s = sigmoid(x)`. arXiv:1702.03118. */
export function silu(x: Tensor): Tensor {
  return run(siluOp, { x }, {}).y;
}

export const relu6Op = defineOp({
  ...unary('relu6', (x) => Math.min(Math.max(x, 0), 6), 'away'),
  saves: ['y'],
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => run(relu6GradOp, { saved: y, g }, {}).dx }),
});
export const relu6GradOp = defineOp(slope('relu6Grad', (y) => (y <= 0 || y >= 6 ? 0 : 1), [NaN, 0, 6, 3, 5.5, -1, 7]));
/** `y = min(max(x, 0), 6)`; NaN stays NaN. The gradient passes strictly between 0 and 6. */
export function relu6(x: Tensor): Tensor {
  return run(relu6Op, { x }, {}).y;
}
