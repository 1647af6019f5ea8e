import { checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { erfOf } from './erf.js';

const forms = ['none', 'tanh'] as const;
const root2 = Math.SQRT1_2;
const slope = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

export const geluOp = defineOp({
  name: 'gelu',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { approximate: forms },
  saves: ['x'],
  shapes: ({ x }) => ({ y: x }),
  backward: ({ saved: { x }, attrs, grads: { y: g } }) => ({ x: () => run(geluGradOp, { x, g }, attrs).dx }),
  reference({ x }, { y }, { approximate }) {
    for (let i = 0; i < x.data.length; i++) {
      const v = x.data[i] as number;
      const s = approximate === 'none' ? erfOf(v * root2) : Math.tanh(slope * (v + cubic * v ** 3));
      y.data[i] = 0.5 * v * (1 + s);
    }
  },
  cases: forms.flatMap((approximate) => [
    { inputs: { x: [3, 5, 17] }, attrs: { approximate } },
    { inputs: { x: [] }, attrs: { approximate } },
    { inputs: { x: [0, 3] }, attrs: { approximate } },
    {
      name: `special values, ${approximate}`,
      inputs: { x: { shape: [8], values: [NaN, Infinity, -Infinity, 0, -0, 30, -30, 1e-30] } },
      attrs: { approximate },
      grad: false,
    },
    { name: `bench ${approximate}`, inputs: { x: [1 << 20] }, attrs: { approximate }, bench: true, grad: false },
  ]),
});

export const geluGradOp = defineOp({
  name: 'geluGrad',
  inputs: { x: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { approximate: forms },
  shapes({ x, g }) {
    needShape('geluGrad', 'g', g, x);
    return { dx: x };
  },
  reference({ x, g }, { dx }, { approximate }) {
    for (let i = 0; i < dx.data.length; i++) {
      const v = x.data[i] as number;
      let d: number;
      if (approximate === 'none') {
        d = 0.5 * (1 + erfOf(v * root2)) + (v * Math.exp(-0.5 * v * v)) / Math.sqrt(2 * Math.PI);
      } else {
        const t = Math.tanh(slope * (v + cubic * v ** 3));
        d = 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * slope * (1 + 3 * cubic * v * v);
      }
      dx.data[i] = (g.data[i] as number) * d;
    }
  },
  cases: forms.flatMap((approximate) => [
    { inputs: { x: [4, 33], g: [4, 33] }, attrs: { approximate } },
    {
      name: `far out, ${approximate}`,
      inputs: { x: { shape: [5], values: [NaN, 0, -0, 30, -30] }, g: { shape: [5], values: [1] } },
      attrs: { approximate },
    },
    { name: `bench ${approximate}`, inputs: { x: [1 << 20], g: [1 << 20] }, attrs: { approximate }, bench: true },
  ]),
});

export interface GeluOptions {
  /** 'none': by the error function (default); 'tanh': the approximation that GPT-2 uses. */
  approximate?: 'none' | 'tanh';
}
/**
 * `y = x Phi(x)`, Phi the normal distribution function: `x (1 + erf(x / sqrt 2)) / 2`, or with `approximate: 'tanh'`
 * `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`. Any shape; a gradient for `x`, in one pass. Hendrycks and
 * Gimpel, arXiv:1606.08415.
 *
 * @throws ERR_OPTION, ERR_ARGUMENT for another word, ERR_DTYPE
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('gelu', options, ['approximate']);
  return run(geluOp, { x }, { approximate: options.approximate ?? 'none' }).y;
}
