// Whoever comes in through layers, models or data finds the methods of Tensor in place.
import '../tensor.js';
import { SecateurError } from '../core/errors.js';
import { Tensor, ownAlone } from '../core/tensor.js';

/** Puts something in the place of a weight: how pruning reaches the layers. Set by a pruner, cleared when it finishes. */
export interface WeightTransform {
  /** The weight to compute with, differentiable with respect to `weight`. */
  effective(weight: Parameter): Tensor;
}

/**
 * A tensor that is learned: f32, requires a gradient, belongs to its module and to no scope. Layers compute with
 * `effective()`, never with the raw tensor, so that a pruned weight is pruned everywhere it is used.
 */
export class Parameter extends Tensor<'f32'> {
  transform: WeightTransform | undefined = undefined;
  /** The order of this tensor's axes in a file, where PyTorch's differs: file axis i is our axis fileAxes[i]. */
  readonly fileAxes: readonly number[] | undefined;

  /** Takes over the storage of `values`, which is disposed. */
  constructor(values: Tensor, fileAxes?: readonly number[]) {
    if (values.dtype !== 'f32') throw new SecateurError('ERR_DTYPE', `Parameter: needs f32, got ${values.dtype}.`);
    super(values.cell.retain(), 'f32', values.shape, values.device);
    ownAlone(this);
    values.dispose();
    this.requiresGrad = true;
    this.fileAxes = fileAxes;
  }

  override get lasts(): boolean {
    return true;
  }

  effective(): Tensor {
    return this.transform === undefined ? this : this.transform.effective(this);
  }
}

/** A tensor that is part of a module's state but not learned, such as running statistics. */
export class Buffer extends Tensor {
  /** Takes over the storage of `values`, which is disposed. */
  constructor(values: Tensor) {
    super(values.cell.retain(), values.dtype, values.shape, values.device);
    ownAlone(this);
    values.dispose();
  }
}
