import { noGrad } from '../autograd/tape.js';
import { type Captured, capture } from '../core/capture.js';
import { writeData } from '../core/create.js';
import { SecateurError } from '../core/errors.js';
import { keep, scope } from '../core/lifetime.js';
import { sameShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { constant } from '../ops/creation.js';
import { copy_ } from '../ops/fill.js';
import type { Counted } from './evaluate.js';
import type { Batch } from './pruner.js';

/** Takes what a hook returned during a captured step, which cannot wait for it. */
export function refuseWaiting(what: string, result: void | Promise<void>): void {
  if (result === undefined) return;
  throw new SecateurError(
    'ERR_CAPTURE',
    `${what}: it returned a promise, and a captured step cannot wait. Make it synchronous, or train without capture.`,
    { what },
  );
}

/**
 * A trainer's steps as captured ones. The batch lies in tensors that stay: each new one is copied into them. A phase of
 * pruning makes calls of its own, so each has a recording of its own.
 */
export class CapturedSteps {
  readonly #step: (batch: Batch) => Counted;
  #phase = '';
  #batch: Batch | undefined;
  #captured: Captured<Counted> | undefined;

  constructor(step: (batch: Batch) => Counted) {
    this.#step = step;
  }

  /** Runs the step on a batch; undefined when its shapes are not those of the phase's first, and it was not run. */
  run(phase: string, given: Batch): Counted | undefined {
    if (phase !== this.#phase) this.dispose();
    this.#phase = phase;
    const own = (this.#batch ??= { input: place(given.input), target: place(given.target) });
    if (!sameShape(own.input.shape, given.input.shape) || !sameShape(own.target.shape, given.target.shape))
      return undefined;
    put(own.input, given.input);
    put(own.target, given.target);
    this.#captured ??= capture(() => this.#step(own));
    return this.#captured();
  }

  dispose(): void {
    this.#captured?.dispose();
    this.#batch?.input.dispose();
    this.#batch?.target.dispose();
    this.#captured = undefined;
    this.#batch = undefined;
  }
}

/** Room on the GPU for tensors like this one. */
function place({ shape, dtype }: Tensor): Tensor {
  return scope(() => keep(constant(shape, dtype, 0, 'cuda')));
}

function put(to: Tensor, from: Tensor): void {
  if (from.device === 'cuda') noGrad(() => copy_(to, from));
  else writeData(to, from.data());
}
