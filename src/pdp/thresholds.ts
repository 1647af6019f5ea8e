import { noGrad } from '../../lib/autograd/tape.js';
import { tensor } from '../../lib/core/create.js';
import { SecateurError } from '../../lib/core/errors.js';
import { scope, keep } from '../../lib/core/lifetime.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { zeros } from '../../lib/ops/creation.js';
import { type ThresholdRow, type Thresholds as Levels, threshold, thresholdRow } from '../../lib/ops/threshold.js';

/** Whether something read from a file is a list of so many whole numbers. */
export const isWholes = (x: unknown, length: number): x is number[] =>
  Array.isArray(x) && x.length === length && x.every((n) => Number.isInteger(n) && Math.abs(n as number) < 2 ** 31);

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

  /** What `restore` takes, as JSON: the bits of the levels, which may be NaN, and the counts. Waits for the device. */
  saved(): unknown {
    const { levels, counts } = this.#levels as Levels;
    const bits = new Int32Array(Float32Array.from(levels.doubles()).buffer);
    return { levels: [...bits], counts: [...counts.doubles()] };
  }

  /** Puts back thresholds that were saved. ERR_CHECKPOINT for anything else. */
  restore(from: unknown): void {
    const layers = this.#weights.length;
    const { levels, counts } = (typeof from === 'object' && from !== null ? from : {}) as Record<string, unknown>;
    if (!isWholes(levels, 3 * layers) || !isWholes(counts, 2 * layers))
      throw new SecateurError(
        'ERR_CHECKPOINT',
        `the saved thresholds are damaged: needs whole numbers for ${layers} layers.`,
      );
    const device = this.#weights[0]?.device ?? 'cpu';
    this.#levels = scope(() => ({
      levels: keep(tensor(new Float32Array(Int32Array.from(levels).buffer), { shape: [layers, 3], device })),
      counts: keep(tensor(Int32Array.from(counts), { shape: [layers, 2], device })),
    }));
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
