import { noGrad } from '../../lib/autograd/tape.js';
import { scope, keep } from '../../lib/core/lifetime.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { zeros } from '../../lib/ops/creation.js';
import { type ThresholdRow, type Thresholds as Levels, threshold, thresholdRow } from '../../lib/ops/threshold.js';

/** The magnitude thresholds of a set of weights, recomputed together in one call and kept until the next. */
export class Thresholds {
  readonly #weights: readonly Tensor[];
  // Where the last thresholds lay: makes the next selection one pass over the weights.
  readonly #state: Tensor;
  #levels: Levels | undefined;

  constructor(weights: readonly Tensor[]) {
    this.#weights = weights;
    this.#state = scope(() => keep(zeros([weights.length, 2], { dtype: 'i32', device: weights[0]?.device ?? 'cpu' })));
  }

  /** Whether `update` has run. */
  get ready(): boolean {
    return this.#levels !== undefined;
  }

  /** Recomputes for `counts[i]` weights of layer i to be pruned. */
  update(counts: readonly number[]): void {
    const before = this.#levels;
    this.#levels = noGrad(() =>
      scope(() => {
        const found = threshold(this.#weights, counts, this.#state);
        return { levels: keep(found.levels), counts: keep(found.counts) };
      }),
    );
    before?.levels.dispose();
    before?.counts.dispose();
  }

  /** Levels, counts and the selection's state, for who selects the next thresholds in place. After `update`. */
  get tensors(): Levels & { readonly state: Tensor } {
    return { ...(this.#levels as Levels), state: this.#state };
  }

  /** The thresholds of layer i. */
  row(i: number): ThresholdRow {
    return thresholdRow(this.#levels as Levels, i);
  }

  /** The threshold t of layer i as a number; null when nothing of it is pruned. Waits for the device. */
  value(i: number): number | null {
    const t = this.#levels?.levels.doubles()[i * 3 + 2];
    return t === undefined || Number.isNaN(t) ? null : t;
  }

  dispose(): void {
    this.#levels?.levels.dispose();
    this.#levels?.counts.dispose();
    this.#levels = undefined;
    this.#state.dispose();
  }
}
