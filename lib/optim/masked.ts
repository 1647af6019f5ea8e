import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { type Clip, clipGrads_ } from '../ops/gradNorm.js';
import type { PdpStepOptions, PdpStepTensors } from '../ops/pdpStep.js';
import { pdpWeightGradOp } from '../ops/pdpWeight.js';

/**
 * Parameters that are used through PDP's soft mask: a step works their gradient through the mask, updates them, selects
 * the next thresholds for `k` and writes the next effective weights, all in one call (see `pdpSgdStep_`). Gradients are
 * those of the effective weights; the parameters have none.
 */
export interface MaskedWeights extends Omit<PdpStepTensors, 'grads'>, Omit<PdpStepOptions, 'clip'> {
  readonly weights: readonly Tensor<'f32'>[];
  /** Called when thresholds and effective weights are those of the next step. */
  stepped(): void;
}

/** The gradients of the effective weights, where a step can take them in: every weight has one, all of one dtype. */
export function maskedGrads({ weights, effective }: MaskedWeights): readonly Tensor[] | undefined {
  const grads = effective.flatMap(({ grad }) => (grad === undefined ? [] : [grad]));
  return grads.length === weights.length && grads.every((g) => g.dtype === grads[0]?.dtype) ? grads : undefined;
}

/** Drops a gradient. */
export function forgetGrad(t: Tensor): void {
  t.grad?.dispose();
  t.grad = undefined;
}

/** Takes the gradients of effective weights through the mask, and clips them: for a step that cannot take them in. */
export function unfold({ weights, effective, levels, counts, tau }: MaskedWeights, clip?: Clip): void {
  const made = weights.flatMap((w, layer): Tensor[] => {
    const e = effective[layer] as Tensor;
    if (e.grad === undefined) return [];
    const to = w.gradSlot === undefined ? {} : { into: w.gradSlot };
    const inputs = { w, g: e.grad, levels, counts };
    const { dw } = run(pdpWeightGradOp, inputs, { throughThreshold: false }, { scalars: { layer, tau }, ...to });
    w.grad = (w.gradSlot ?? dw.share()) as Tensor<'f32'>;
    forgetGrad(e);
    return [w.grad];
  });
  if (clip !== undefined) clipGrads_(made, clip.norm, clip.maxNorm);
}
