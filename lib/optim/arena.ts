import { tensor } from '../core/create.js';
import { SecateurError } from '../core/errors.js';
import { run, viewOf } from '../core/run.js';
import { type Tensor, ownAlone } from '../core/tensor.js';
import { noGrad } from '../autograd/tape.js';
import { broadcastTo, broadcastToOp } from '../ops/broadcast.js';

// Every parameter starts at a multiple of 256 bytes.
const alignment = 64;

/**
 * One flat buffer for the weights of a parameter group and one for their gradients: the parameters become views of it.
 * An optimizer update, a threshold over all layers or a gradient norm is then one call over a range.
 */
export class Arena {
  readonly parameters: readonly Tensor<'f32'>[];
  readonly weights: Tensor;
  readonly grads: Tensor;
  /** First element of each parameter, and at the end the length of the whole. */
  readonly offsets: readonly number[];
  readonly #views: Tensor[] = [];

  /** Moves the parameters' values into a new buffer; the tensors stay the same objects. */
  constructor(parameters: readonly Tensor<'f32'>[]) {
    if (parameters.length === 0) throw new SecateurError('ERR_ARGUMENT', 'Arena: needs at least one parameter.');
    this.parameters = parameters;
    const offsets = [0];
    for (const p of parameters)
      offsets.push((offsets[offsets.length - 1] as number) + Math.ceil(p.size / alignment) * alignment);
    this.offsets = offsets;
    this.weights = this.slot();
    this.grads = this.slot();
    parameters.forEach((p, i) => {
      const at = this.#at(this.weights, i);
      noGrad(() => run(broadcastToOp, { x: p }, { shape: p.shape }, { into: at }));
      p.rebase(at.cell.retain());
      at.dispose();
      p.gradSlot = this.#at(this.grads, i) as Tensor<'f32'>;
    });
  }

  /** Elements in the buffer, the gaps between parameters included. */
  get length(): number {
    return this.offsets[this.offsets.length - 1] as number;
  }

  /** A zeroed buffer of the same layout: room for an optimizer's state. Belongs to the arena. */
  slot(): Tensor {
    const first = this.parameters[0] as Tensor;
    const zero = tensor(0, { device: first.device });
    const made = noGrad(() => broadcastTo(zero, [this.length]));
    zero.dispose();
    const flat = made.share();
    made.dispose();
    ownAlone(flat);
    this.#views.push(flat);
    return flat;
  }

  /** Parameter `i`'s part of a buffer of this layout, in its shape. */
  part(flat: Tensor, i: number): Tensor {
    return this.#at(flat, i);
  }

  /** The elements of parameters `from` to `to` (exclusive) of a buffer of this layout, as one range. */
  range(flat: Tensor, from: number, to: number): Tensor {
    const start = this.offsets[from] as number;
    return this.#view(flat, [(this.offsets[to] as number) - start], start);
  }

  #at(flat: Tensor, i: number): Tensor {
    return this.#view(flat, (this.parameters[i] as Tensor).shape, this.offsets[i] as number);
  }

  // A view with versions of its own: writing one parameter does not make what the tape saved of another stale.
  #view(flat: Tensor, shape: readonly number[], offset: number): Tensor {
    const seen = viewOf(flat, shape, offset, { version: 0, writer: '', viewed: true });
    const t = seen.share();
    seen.dispose();
    ownAlone(t);
    this.#views.push(t);
    return t;
  }

  /** Frees the buffers. The parameters must not be used afterwards. */
  dispose(): void {
    for (const t of this.#views) t.dispose();
    for (const p of this.parameters) p.dispose();
  }
}
