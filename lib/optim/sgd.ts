import { SecateurError } from '../core/errors.js';
import { type PdpStepOptions, type PdpStepTensors, pdpSgdStep_ } from '../ops/pdpStep.js';
import { sgdStep_ } from '../ops/sgd.js';
import { type GroupOptions, Optimizer, type Params, type Ranges, checkRange } from './optimizer.js';

export interface SgdOptions {
  /** Learning rate (default 1e-3). */
  readonly lr: number;
  /** Share of the last update that is kept (default 0). */
  readonly momentum: number;
  /** L2 penalty, added to the gradient (default 0). */
  readonly weightDecay: number;
  /** Nesterov's momentum: look ahead along the velocity (default false). */
  readonly nesterov: boolean;
}

/**
 * Stochastic gradient descent: `d = g + weightDecay w`, `v = momentum v + d`, `w -= lr v` (Nesterov:
 * `w -= lr (d + momentum v)`). State: `momentumBuffer`, where momentum is above 0.
 *
 * @throws ERR_OPTION, ERR_ARGUMENT on options out of range
 */
export class SGD extends Optimizer<SgdOptions> {
  readonly kind = 'sgd';

  constructor(params: Params | Iterable<GroupOptions<SgdOptions>>, options: Partial<SgdOptions> = {}) {
    super(params, options, { lr: 1e-3, momentum: 0, weightDecay: 0, nesterov: false });
  }

  protected check({ lr, momentum, weightDecay, nesterov }: SgdOptions): void {
    checkRange('SGD', 'lr', lr, 0, Infinity);
    checkRange('SGD', 'momentum', momentum, 0, 1);
    checkRange('SGD', 'weightDecay', weightDecay, 0, Infinity);
    if (nesterov && momentum === 0)
      throw new SecateurError('ERR_ARGUMENT', 'SGD: nesterov needs a momentum above 0.', { momentum });
  }

  protected slotNames({ momentum }: SgdOptions): string[] {
    return momentum > 0 ? ['momentumBuffer'] : [];
  }

  protected update({ weights, grads, slots }: Ranges, options: SgdOptions): void {
    sgdStep_(weights, grads, slots['momentumBuffer'] ?? [], options);
  }

  protected override updateMasked(
    tensors: PdpStepTensors,
    slots: Ranges['slots'],
    _steps: readonly number[],
    options: SgdOptions & PdpStepOptions,
  ): void {
    pdpSgdStep_(tensors, slots['momentumBuffer'] ?? [], options);
  }
}
