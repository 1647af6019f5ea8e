import { SecateurError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { adamStep_ } from '../ops/adam.js';
import { type PdpStepOptions, type PdpStepTensors, pdpAdamStep_ } from '../ops/pdpStep.js';
import { type GroupOptions, Optimizer, type Params, type Ranges, checkRange } from './optimizer.js';

export interface AdamOptions {
  /** Learning rate (default 1e-3). */
  readonly lr: number;
  /** Decay of the running mean and of the running square of the gradient (default 0.9 and 0.999). */
  readonly betas: readonly [number, number];
  /** Keeps the division finite (default 1e-8). */
  readonly eps: number;
  /** Default 0 for Adam, 0.01 for AdamW. */
  readonly weightDecay: number;
}

const defaults: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };

abstract class AdamFamily extends Optimizer<AdamOptions> {
  protected abstract readonly decoupled: boolean;

  protected check({ lr, betas, eps, weightDecay }: AdamOptions): void {
    const where = this.constructor.name;
    checkRange(where, 'lr', lr, 0, Infinity);
    if (!Array.isArray(betas) || betas.length !== 2)
      throw new SecateurError('ERR_ARGUMENT', `${where}: betas must be two numbers.`, { betas });
    checkRange(where, 'betas[0]', betas[0], 0, 1);
    checkRange(where, 'betas[1]', betas[1], 0, 1);
    checkRange(where, 'eps', eps, 0, Infinity);
    checkRange(where, 'weightDecay', weightDecay, 0, Infinity);
  }

  protected slotNames(): string[] {
    return ['expAvg', 'expAvgSq'];
  }

  protected update({ weights, grads, slots, steps }: Ranges, options: AdamOptions): void {
    const { expAvg, expAvgSq } = slots as Record<'expAvg' | 'expAvgSq', readonly Tensor[]>;
    adamStep_(weights, grads, expAvg, expAvgSq, steps, { ...options, decoupled: this.decoupled });
  }

  protected override updateMasked(
    tensors: PdpStepTensors,
    slots: Ranges['slots'],
    steps: readonly number[],
    options: AdamOptions & PdpStepOptions,
  ): void {
    const { expAvg, expAvgSq } = slots as Record<'expAvg' | 'expAvgSq', readonly Tensor[]>;
    pdpAdamStep_(tensors, expAvg, expAvgSq, steps, { ...options, decoupled: this.decoupled });
  }
}

/**
 * Adam (Kingma and Ba 2014), with the decay added to the gradient: see `adamStep_` for the equations. State: `expAvg`,
 * `expAvgSq` and the step number of each parameter.
 *
 * @throws ERR_OPTION, ERR_ARGUMENT on options out of range
 */
export class Adam extends AdamFamily {
  readonly kind = 'adam';
  protected readonly decoupled = false;

  constructor(params: Params | Iterable<GroupOptions<AdamOptions>>, options: Partial<AdamOptions> = {}) {
    super(params, options, defaults);
  }
}

/**
 * AdamW (Loshchilov and Hutter 2017): Adam whose decay shrinks the weights, `w *= 1 - lr weightDecay`, instead of
 * entering the gradient. State as Adam's.
 *
 * @throws ERR_OPTION, ERR_ARGUMENT on options out of range
 */
export class AdamW extends AdamFamily {
  readonly kind = 'adamW';
  protected readonly decoupled = true;

  constructor(params: Params | Iterable<GroupOptions<AdamOptions>>, options: Partial<AdamOptions> = {}) {
    super(params, options, { ...defaults, weightDecay: 0.01 });
  }
}
