import { checkFits } from '../core/dtype.js';
import type { Tensor } from '../core/tensor.js';
import { constant } from './creation.js';

/**
 * Calls `use` with an operand that may be a JS number: a number becomes a scalar tensor of the dtype and on the device
 * of `like`, and is gone afterwards (the tape shares what it needs).
 *
 * @throws ERR_DTYPE when the dtype of `like` cannot hold the number
 */
export function withOperand<R>(where: string, operand: Tensor | number, like: Tensor, use: (t: Tensor) => R): R {
  if (typeof operand !== 'number') return use(operand);
  const { dtype, device } = like.alive(where);
  checkFits(where, dtype, operand);
  const t = constant([], dtype, operand, device);
  try {
    return use(t);
  } finally {
    t.dispose();
  }
}
