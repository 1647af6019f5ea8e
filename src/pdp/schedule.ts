// When to prune how much: pure functions of the step or the epoch.
import { SecateurError } from '../../lib/core/errors.js';

/** How many of `n` a fraction means: `floor(f n + 1e-6)`. The guard keeps 0.29 of 100 at 29, where binary fractions fall short. */
export function count(fraction: number, n: number): number {
  return Math.floor(fraction * n + 1e-6);
}

export interface LinearRamp {
  /** Epochs (or steps) before pruning starts. */
  readonly warmup: number;
  /** Fraction of the target added each epoch (or step). */
  readonly epsilon: number;
  /** Whether the first epoch of pruning starts at epsilon (1) or at nothing (0). */
  readonly first: 0 | 1;
}

/** PDP's ramp: the fraction of the target in force at `at`: `min(1, epsilon (at - warmup + first))`, 0 during the warm-up. */
export function linearRamp(at: number, { warmup, epsilon, first }: LinearRamp): number {
  return at < warmup ? 0 : Math.min(1, epsilon * (at - warmup + first));
}

/** Refuses a sparsity outside [0, 1). */
export function checkSparsity(where: string, sparsity: number): void {
  if (!(sparsity >= 0 && sparsity < 1)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `${where}: sparsity is ${sparsity}; needs 0 <= sparsity < 1 (0.9 prunes nine weights in ten).`,
      { sparsity },
    );
  }
}
