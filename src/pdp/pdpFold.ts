import { isGradEnabled, noGrad } from '../../lib/autograd/tape.js';
import { keep } from '../../lib/core/lifetime.js';
import type { Tensor } from '../../lib/core/tensor.js';
import type { Parameter } from '../../lib/nn/parameter.js';
import { pdpWeight } from '../../lib/ops/pdpWeight.js';
import type { MaskedWeights } from '../../lib/optim/masked.js';
import type { Context, MaskFold } from '../../lib/train/pruner.js';
import type { Thresholds } from './thresholds.js';

export interface PdpFoldOptions {
  readonly tau: number;
  readonly refusal: string | undefined;
  /** The counts that the mask of the coming step prunes; undefined when nothing will be masked. */
  readonly next: (context: Context) => readonly number[] | undefined;
}

/** An effective weight that layers compute with, and the version of the weight that it belongs to. */
interface Effective {
  readonly value: Tensor;
  version: number;
}

/**
 * PDP's side of the fold: the effective weights, which optimizer steps write, stand in the forward pass as leaves, so
 * that backward leaves their gradients with them. Thresholds are selected by the step before; the mask of a step and
 * everything else stay what they are without the fold, bit for bit.
 */
export class PdpFold implements MaskFold {
  on = false;
  readonly refusal: string | undefined;
  readonly #options: PdpFoldOptions;
  #thresholds: Thresholds | undefined;
  #weights: readonly Parameter[] = [];
  #effective: (Effective | undefined)[] = [];
  // For which the last step selected.
  #counts: readonly number[] = [];

  constructor(options: PdpFoldOptions) {
    this.#options = options;
    this.refusal = options.refusal;
  }

  /** The weights, and where their thresholds are. */
  bind(weights: readonly Parameter[], thresholds: Thresholds): void {
    this.#weights = weights;
    this.#thresholds = thresholds;
  }

  /** Whether thresholds and effective weights for these counts are there already, from the last optimizer step. */
  holds(counts: readonly number[]): boolean {
    return (
      counts.length === this.#counts.length &&
      counts.every((k, i) => k === this.#counts[i]) &&
      this.#weights.every((w, i) => this.#effective[i]?.version === w.cell.stamp.version)
    );
  }

  /** The effective weight i, if the fold has it or is to have it. */
  effective(i: number, dtype: 'f32' | 'bf16'): Tensor | undefined {
    if (!this.on) return undefined;
    const w = this.#weights[i] as Parameter;
    const known = this.#effective[i];
    const { version } = w.cell.stamp;
    if (known?.version === version && known.value.dtype === dtype) return known.value;
    if (!isGradEnabled()) return undefined;
    known?.value.dispose();
    const value = this.#make(i, dtype);
    this.#effective[i] = { value, version };
    return value;
  }

  #make(i: number, dtype: 'f32' | 'bf16'): Tensor {
    const row = (this.#thresholds as Thresholds).row(i);
    const value = noGrad(() => keep(pdpWeight(this.#weights[i] as Parameter, row, { tau: this.#options.tau, dtype })));
    value.requiresGrad = true;
    return value;
  }

  masked(context: Context): MaskedWeights | undefined {
    const k = this.#options.next(context);
    const thresholds = this.#thresholds;
    const some = this.#effective.find((e) => e !== undefined);
    if (k === undefined || thresholds === undefined || some === undefined) return undefined;
    const dtype = some.value.dtype as 'f32' | 'bf16';
    // A layer that this step did not use has none yet.
    const all = this.#weights.map((w, i): Effective => {
      this.#effective[i] ??= { value: this.#make(i, dtype), version: w.cell.stamp.version };
      return this.#effective[i];
    });
    return {
      weights: this.#weights,
      effective: all.map((e) => e.value),
      ...thresholds.tensors,
      k,
      tau: this.#options.tau,
      stepped: () => {
        this.#counts = k;
        all.forEach((e, i) => (e.version = (this.#weights[i] as Parameter).cell.stamp.version));
      },
    };
  }

  /** Frees the effective weights; those that are still wanted are made anew. */
  forget(): void {
    for (const e of this.#effective) {
      e?.value.grad?.dispose();
      e?.value.dispose();
    }
    this.#effective = [];
    this.#counts = [];
  }
}
