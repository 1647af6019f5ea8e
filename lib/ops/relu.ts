import { defineOp } from '../core/op.js';
import { run } from '../core/run.js';
import { needShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export const reluOp = defineOp({
  name: 'relu',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  saves: ['y'],
  aliases: { y: 'x' },
  shapes: ({ x }) => ({ y: x }),
  backward: ({ saved: { y }, grads: { y: g } }) => ({ x: () => run(reluGradOp, { y, g }, {}).dx }),
  reference({ x }, { y }) {
    // Not Math.max: NaN must pass and -0 become 0, as in PyTorch.
    for (let i = 0; i < x.data.length; i++) y.data[i] = (x.data[i] as number) <= 0 ? 0 : (x.data[i] as number);
  },
  cases: [
    { inputs: { x: { shape: [4, 33], draw: 'away' } } },
    { inputs: { x: [0] } },
    {
      name: 'special values',
      inputs: { x: { shape: [6], values: [NaN, Infinity, -Infinity, 0, -0, -1e-40] } },
      grad: false,
    },
    { name: 'bench', inputs: { x: [1 << 20] }, bench: true, grad: false },
  ],
});

export const reluGradOp = defineOp({
  name: 'reluGrad',
  inputs: { y: 'const', g: 'const' },
  outputs: { dx: 'const' },
  shapes({ y, g }) {
    needShape('reluGrad', 'g', g, y);
    return { dx: y };
  },
  reference({ y, g }, { dx }) {
    for (let i = 0; i < dx.data.length; i++) dx.data[i] = (y.data[i] as number) <= 0 ? 0 : (g.data[i] as number);
  },
  cases: [{ inputs: { y: [4, 33], g: [4, 33] } }],
});

/** `y = max(x, 0)`, any shape; NaN stays NaN. The gradient at 0 is 0. */
export function relu(x: Tensor): Tensor {
  return run(reluOp, { x }, {}).y;
}

/** `relu` in place: `x` is overwritten and returned. What the tape saved of the old `x` is stale afterwards (ERR_SAVED_MODIFIED). */
export function relu_(x: Tensor): Tensor {
  return run(reluOp, { x }, {}, { into: x }).y;
}
