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
  readonly #owned: Tensor[] = [];
  readonly #gradSlots: Tensor<'f32'>[] = [];

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
      const at = this.#view(this.weights, p.shape, offsets[i] as number);
      copy(p, at);
      p.rebase(at.cell.retain());
      at.dispose();
      this.#adoptGrad(p, i);
    });
  }

  // A gradient that is already there moves in.
  #adoptGrad(p: Tensor<'f32'>, i: number): void {
    const slot = this.#own(this.#view(this.grads, p.shape, this.offsets[i] as number)) as Tensor<'f32'>;
    const before = p.grad;
    if (before !== undefined) {
      copy(before, slot);
      if (before !== p.gradSlot) before.dispose();
      p.grad = slot;
    }
    p.gradSlot = slot;
    this.#gradSlots.push(slot);
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
    return this.#own(made);
  }

  /** Parameter `i`'s part of a buffer of this layout, in its shape. A view, given to the innermost scope. */
  part(flat: Tensor, i: number): Tensor {
    return this.#view(flat, (this.parameters[i] as Tensor).shape, this.offsets[i] as number);
  }

  /** The elements of parameters `from` to `to` (exclusive) of a buffer of this layout, as one range. A view, given to the innermost scope. */
  range(flat: Tensor, from: number, to: number): Tensor {
    const start = this.offsets[from] as number;
    return this.#view(flat, [(this.offsets[to] as number) - start], start);
  }

  /**
   * Sees to it that parameter `i` still lives here and that its gradient, if it has one, lies in its slot.
   *
   * @throws ERR_DISPOSED, or ERR_ARGUMENT when another arena has taken the parameter over
   */
  settle(i: number): void {
    const p = (this.parameters[i] as Tensor<'f32'>).alive('Arena');
    const slot = this.#gradSlots[i] as Tensor<'f32'>;
    if (p.gradSlot !== slot) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `Arena: parameter ${i} was taken over by a later optimizer. Give each parameter to one optimizer at a time.`,
      );
    }
    if (p.grad === undefined || p.grad === slot) return;
    copy(p.grad, slot);
    p.grad.dispose();
    p.grad = slot;
  }

  // A view with versions of its own: writing one parameter does not make what the tape saved of another stale.
  #view(flat: Tensor, shape: readonly number[], offset: number): Tensor {
    return viewOf(flat, shape, offset, { version: 0, writer: '', viewed: true });
  }

  // Out of every scope: it lives until the arena is disposed.
  #own(t: Tensor): Tensor {
    const mine = t.share();
    t.dispose();
    ownAlone(mine);
    this.#owned.push(mine);
    return mine;
  }

  /** Frees the gradients and whatever `slot` made. The parameters keep their values. */
  dispose(): void {
    this.parameters.forEach((p, i) => {
      const slot = this.#gradSlots[i];
      if (p.grad === slot) p.grad = undefined;
      if (p.gradSlot === slot) p.gradSlot = undefined;
    });
    for (const t of this.#owned) t.dispose();
  }
}

function copy(from: Tensor, into: Tensor): void {
  noGrad(() => run(broadcastToOp, { x: from }, { shape: into.shape }, { into }));
}
