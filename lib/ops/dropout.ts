import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp } from '../core/op.js';
import { type RandomState, uniformAt } from '../core/random.js';
import { run } from '../core/run.js';
import { sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';

export const dropoutOp = defineOp({
  name: 'dropout',
  inputs: { x: 'diff' },
  outputs: { y: 'diff' },
  attrs: { p: 'float' },
  random: ({ x }) => sizeOf(x),
  aliases: { y: 'x' },
  shapes: ({ x }) => ({ y: x }),
  // The mask is drawn again from the same words: nothing but their position is kept.
  backward: ({ attrs: { p }, random, grads: { y: g } }) => ({ x: () => replay(g, p, random) }),
  reference({ x }, { y }, { p }, _scalars, { seed, position }) {
    for (let i = 0; i < x.data.length; i++)
      y.data[i] = uniformAt(seed, position + i) >= p ? (x.data[i] as number) / (1 - p) : 0;
  },
  cases: [
    { inputs: { x: [3, 5, 17] }, attrs: { p: 0.5 } },
    { inputs: { x: [2051] }, attrs: { p: 0.1 } },
    { inputs: { x: [7] }, attrs: { p: 0 } },
    { inputs: { x: [] }, attrs: { p: 0.3 } },
    { inputs: { x: [0, 3] }, attrs: { p: 0.3 } },
    {
      name: 'special values',
      inputs: { x: { shape: [16], values: [NaN, Infinity, -Infinity, -1] } },
      attrs: { p: 0.5 },
      grad: false,
    },
    { name: 'bench', inputs: { x: [1 << 20] }, attrs: { p: 0.1 }, bench: true, grad: false },
  ],
});

function replay(x: Tensor, p: number, random: RandomState): Tensor {
  return run(dropoutOp, { x }, { p }, { random }).y;
}

export interface DropoutOptions {
  /** Drop (default true); false leaves `x` alone. */
  training?: boolean;
}
/**
 * Zeroes each element with probability `p` and multiplies the others by `1 / (1 - p)`: element i is kept where uniform
 * i of the generator is `>= p`, the same elements on every device. `x` itself when not training. The gradient passes
 * the kept elements. Srivastava et al., JMLR 2014.
 *
 * @throws ERR_ARGUMENT when `p` is outside [0, 1), ERR_DTYPE, ERR_OPTION
 */
export function dropout(x: Tensor, p: number, options: DropoutOptions = {}): Tensor {
  checkOptions('dropout', options, ['training']);
  if (!(p >= 0 && p < 1)) {
    throw new SecateurError('ERR_ARGUMENT', `dropout: p is ${p}; needs a probability from 0 up to but without 1.`, {
      p,
    });
  }
  return options.training === false ? x.alive('dropout') : run(dropoutOp, { x }, { p }).y;
}
