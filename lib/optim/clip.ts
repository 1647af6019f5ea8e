import { noGrad } from '../autograd/tape.js';
import { SecateurError } from '../core/errors.js';
import { Tensor } from '../core/tensor.js';
import { type MaskedGrad, clipGrads_, gradNorm, pdpGradNorm } from '../ops/gradNorm.js';
import { type MaskedWeights, maskedGrads, unfold } from './masked.js';
import type { Params } from './optimizer.js';

/**
 * Scales all gradients in place by `min(1, maxNorm / (norm + 1e-6))`, with `norm` the L2 norm over all of them together.
 * Returns the norm before clipping, a scalar on the device: nothing waits for it. Parameters without a gradient do not
 * count.
 *
 * Weights that a step is about to work a mask into (`masked`, all of them among `params`) count with their gradient
 * after the mask. It exists nowhere yet, so it is that step which scales it: `optimizer.step(masked, { norm, maxNorm })`.
 *
 * @throws ERR_ARGUMENT when `maxNorm` is not above 0, or a weight under the mask is not among `params`
 */
export function clipGradNorm_(params: Params, maxNorm: number, masked?: MaskedWeights): Tensor {
  const list = [...params].map((one) => (one instanceof Tensor ? one : one[1]));
  const grads = masked === undefined ? undefined : maskedGrads(masked);
  if (masked !== undefined && grads === undefined) noGrad(() => unfold(masked));
  const plain: Tensor[] = [];
  const all = list.flatMap((p): (Tensor | MaskedGrad)[] => {
    const layer = grads === undefined ? -1 : (masked?.weights.indexOf(p) ?? -1);
    if (layer >= 0) return [{ weight: p, grad: grads?.[layer] as Tensor, layer }];
    if (p.grad === undefined) return [];
    plain.push(p.grad);
    return [p.grad];
  });
  if (grads !== undefined && all.length - plain.length !== grads.length)
    throw new SecateurError('ERR_ARGUMENT', 'clipGradNorm_: a weight under the mask is not among the parameters.');
  const norm = masked === undefined || grads === undefined ? gradNorm(plain) : pdpGradNorm(all, masked, masked.tau);
  clipGrads_(plain, norm, maxNorm);
  return norm;
}
