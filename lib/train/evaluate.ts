import { noGrad } from '../autograd/tape.js';
import { toDevice } from '../core/create.js';
import type { Device } from '../core/device.js';
import { scope } from '../core/lifetime.js';
import type { Tensor } from '../core/tensor.js';
import type { Module } from '../nn/module.js';
import { eq } from '../ops/compare.js';
import { cast } from '../ops/cast.js';
import { argmax } from '../ops/topk.js';
import { sumTo } from '../ops/broadcast.js';
import type { Batch } from './pruner.js';

/** A loss and a count of right answers, still on the device. */
export interface Counted {
  readonly loss: Tensor;
  /** Undefined where the target is not a class. */
  readonly correct: Tensor | undefined;
}

/** How many rows of logits have their largest entry at the target; undefined when the target is no class index. */
export function tallyCorrect(logits: Tensor, target: Tensor): Tensor | undefined {
  if (target.dtype !== 'i32') return undefined;
  return noGrad(() => scope(() => sumTo(cast(eq(argmax(logits, { dim: -1 }), target), 'f32'), [])));
}

/** The batch on this device. What was moved is disposed where it was. */
export function moveBatch(batch: Batch, device: Device): Batch {
  const move = (t: Tensor): Tensor => {
    const there = toDevice(t, device);
    if (there !== t) t.dispose();
    return there;
  };
  return { input: move(batch.input), target: move(batch.target) };
}

export interface Evaluation {
  /** Share of right answers; NaN where the targets are no classes. */
  readonly accuracy: number;
  readonly loss: number;
  readonly samples: number;
}

/**
 * Accuracy and mean loss of a model in eval mode over batches, which are moved to its device and disposed. The model's
 * mode is restored.
 */
export async function evaluate(
  model: Module,
  batches: Iterable<Batch>,
  loss: (output: Tensor, target: Tensor) => Tensor,
): Promise<Evaluation> {
  const training = model.training;
  model.eval();
  let correct = 0;
  let total = 0;
  let samples = 0;
  try {
    for (const given of batches) {
      const batch = moveBatch(given, model.device);
      const size = batch.target.size;
      const logits = scope(() => noGrad(() => model.forward(batch.input)));
      const counted = scope((): Counted =>
        noGrad(() => ({ loss: loss(logits, batch.target), correct: tallyCorrect(logits, batch.target) })),
      );
      correct += counted.correct === undefined ? NaN : ((await counted.correct.dataAsync())[0] as number);
      total += ((await counted.loss.dataAsync())[0] as number) * size;
      samples += size;
      for (const t of [logits, counted.loss, counted.correct, batch.input, batch.target]) t?.dispose();
    }
  } finally {
    model.train(training);
  }
  return { accuracy: correct / samples, loss: total / samples, samples };
}

/**
 * Median milliseconds of a forward pass of each model over the same input, in eval mode. The models take turns, so that
 * a machine that changes its speed changes all of them alike.
 */
export async function timeSideBySide(models: readonly Module[], given: Tensor, rounds = 15): Promise<number[]> {
  const input = toDevice(given, models[0]?.device ?? given.device);
  const times = models.map((): number[] => []);
  const modes = models.map((m) => m.training);
  models.forEach((m) => m.eval());
  const warmup = 3;
  for (let r = -warmup; r < rounds; r++) {
    for (const [i, model] of models.entries()) {
      const start = performance.now();
      const y = scope(() => noGrad(() => model.forward(input)));
      await y.dataAsync();
      if (r >= 0) times[i]?.push(performance.now() - start);
      y.dispose();
    }
  }
  models.forEach((m, i) => m.train(modes[i] === true));
  if (input !== given) input.dispose();
  return times.map((t) => t.sort((a, b) => a - b)[Math.floor(t.length / 2)] as number);
}
