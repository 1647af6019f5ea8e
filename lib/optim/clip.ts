import { Tensor } from '../core/tensor.js';
import { clipGrads_, gradNorm } from '../ops/gradNorm.js';
import type { Params } from './optimizer.js';

/**
 * Scales all gradients in place by `min(1, maxNorm / (norm + 1e-6))`, with `norm` the L2 norm over all of them together.
 * Returns the norm before clipping, a scalar on the device: nothing waits for it. Parameters without a gradient do not
 * count.
 *
 * @throws ERR_ARGUMENT when `maxNorm` is not above 0
 */
export function clipGradNorm_(params: Params, maxNorm: number): Tensor {
  const grads = [...params].flatMap((one) => {
    const { grad } = one instanceof Tensor ? one : one[1];
    return grad === undefined ? [] : [grad];
  });
  const norm = gradNorm(grads);
  clipGrads_(grads, norm, maxNorm);
  return norm;
}
