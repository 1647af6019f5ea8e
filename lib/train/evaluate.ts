import { noGrad } from '../autograd/tape.js';
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

export interface Evaluation {
  /** Share of right answers; NaN where the targets are no classes. */
  readonly accuracy: number;
  readonly loss: number;
  readonly samples: number;
  readonly batches: number;
  /** Median time of a full batch, from input to logits. */
  readonly milliseconds: number;
}

/** Accuracy and mean loss of a model in eval mode over batches, which are disposed. The model's mode is restored. */
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
  const times: { size: number; ms: number }[] = [];
  try {
    for (const batch of batches) {
      const size = batch.target.size;
      const start = performance.now();
      const logits = scope(() => noGrad(() => model.forward(batch.input)));
      await logits.dataAsync();
      times.push({ size, ms: performance.now() - start });
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
  const full = Math.max(...times.map((t) => t.size));
  const sorted = times
    .filter((t) => t.size === full)
    .map((t) => t.ms)
    .sort((a, b) => a - b);
  return {
    accuracy: correct / samples,
    loss: total / samples,
    samples,
    batches: times.length,
    milliseconds: sorted[Math.floor(sorted.length / 2)] ?? 0,
  };
}
