import { rmspropStep_ } from '../ops/rmsprop.js';
import { type GroupOptions, Optimizer, type Params, type Ranges, checkRange } from './optimizer.js';

export interface RmspropOptions {
  /** Learning rate (default 1e-2). */
  readonly lr: number;
  /** Decay of the running square (default 0.99). */
  readonly alpha: number;
  /** Keeps the division finite (default 1e-8). */
  readonly eps: number;
  /** L2 penalty, added to the gradient (default 0). */
  readonly weightDecay: number;
  /** Share of the last update that is kept (default 0). */
  readonly momentum: number;
  /** Divide by the root of the variance instead of the square (default false). */
  readonly centered: boolean;
}

/**
 * RMSprop: see `rmspropStep_` for the equations. State: `squareAvg`, with `centered` `gradAvg`, with momentum
 * `momentumBuffer`.
 *
 * @throws ERR_OPTION, ERR_ARGUMENT on options out of range
 */
export class RMSprop extends Optimizer<RmspropOptions> {
  readonly kind = 'rmsprop';

  constructor(params: Params | Iterable<GroupOptions<RmspropOptions>>, options: Partial<RmspropOptions> = {}) {
    super(params, options, { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false });
  }

  protected check({ lr, alpha, eps, weightDecay, momentum }: RmspropOptions): void {
    checkRange('RMSprop', 'lr', lr, 0, Infinity);
    checkRange('RMSprop', 'alpha', alpha, 0, 1);
    checkRange('RMSprop', 'eps', eps, 0, Infinity);
    checkRange('RMSprop', 'weightDecay', weightDecay, 0, Infinity);
    checkRange('RMSprop', 'momentum', momentum, 0, 1);
  }

  protected slotNames({ momentum, centered }: RmspropOptions): string[] {
    return ['squareAvg', ...(centered ? ['gradAvg'] : []), ...(momentum > 0 ? ['momentumBuffer'] : [])];
  }

  protected update({ weights, grads, slots }: Ranges, options: RmspropOptions): void {
    const { squareAvg = [], gradAvg = [], momentumBuffer = [] } = slots;
    rmspropStep_(weights, grads, squareAvg, gradAvg, momentumBuffer, options);
  }
}
