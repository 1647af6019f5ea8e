// The toy problem of the method traces: a perceptron with one hidden layer on a handful of samples.
import { z } from 'zod';
import { SecateurError } from '../../lib/core/errors.js';
import { tensor } from '../../lib/core/create.js';
import type { Tensor } from '../../lib/core/tensor.js';
import { crossEntropy, relu } from '../../lib/index.js';
import { Linear, Module } from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import { type Batch, type Pruner, Trainer, type TrainingData } from '../../lib/train/index.js';
import type { Comparison } from './comparison.js';

/** `relu(x W1^T + b1) W2^T + b2`. */
class Perceptron extends Module {
  readonly layer1: Linear;
  readonly layer2: Linear;

  constructor(inputs: number, hidden: number, outputs: number) {
    super();
    this.layer1 = new Linear(inputs, hidden);
    this.layer2 = new Linear(hidden, outputs);
  }

  override forward(x: Tensor): Tensor {
    return this.layer2.forward(relu(this.layer1.forward(x)));
  }
}

const toySettings = z.object({ batch: z.number().int().positive(), steps_per_epoch: z.number().int().positive() });

/** Our state-dict keys and the file's names for them. */
const names = { 'layer1.weight': 'w1', 'layer1.bias': 'b1', 'layer2.weight': 'w2', 'layer2.bias': 'b2' } as const;

function startModel(c: Comparison): Module {
  const [hidden = 0, inputs = 0] = c.file.array('toy/w1').shape;
  const [outputs = 0] = c.file.array('toy/w2').shape;
  const model = new Perceptron(inputs, hidden, outputs);
  model.loadStateDict(new Map(Object.entries(names).map(([key, name]) => [key, c.input(`toy/${name}`)])));
  return model;
}

/** The mini-batches in order, the same in every epoch. */
function batchesOf(c: Comparison): TrainingData {
  const { batch: rows, steps_per_epoch: length } = c.file.section('toy', toySettings);
  const x = c.file.array('toy/x');
  const y = c.file.integers('toy/y');
  const [samples = 0, inputs = 0] = x.shape;
  if (rows * length > samples) {
    throw new SecateurError(
      'ERR_DATA',
      `toy: ${length} batches of ${rows} need more than the ${samples} samples there are.`,
    );
  }
  const batch = (i: number): Batch => ({
    input: tensor(x.data.slice(i * rows * inputs, (i + 1) * rows * inputs), {
      shape: [rows, inputs],
      dtype: 'f32',
      device: c.device,
    }),
    target: tensor(y.slice(i * rows, (i + 1) * rows), { device: c.device }),
  });
  return {
    length,
    *epoch(_, start = 0) {
      for (let i = start; i < length; i++) yield batch(i);
    },
  };
}

export const sgdSettings = { lr: z.number(), momentum: z.number(), weight_decay: z.number() };
export type SgdSettings = z.infer<z.ZodObject<typeof sgdSettings>>;

/**
 * Trains the toy problem with a pruning method for as many steps as `<group>/loss` has, compares the loss and the stored
 * parameters after each step, then finishes the method and compares the final weights. `plannedEpochs` is the length of
 * run the method is told of, where its own schedule needs more than the trace shows.
 */
export async function compareTrace(
  c: Comparison,
  group: string,
  settings: SgdSettings,
  pruner: Pruner,
  plannedEpochs = 0,
): Promise<void> {
  const { lr, momentum, weight_decay: weightDecay } = settings;
  const steps = c.file.array(`${group}/loss`).data.length;
  const model = startModel(c);
  const data = batchesOf(c);
  const losses: number[] = [];
  const stored = new Map<string, number[]>(Object.keys(names).map((key) => [key, []]));
  const stop = new AbortController();
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters(), { lr, momentum, weightDecay }),
    loss: (output, target) => {
      const loss = crossEntropy(output, target);
      losses.push(loss.item()); // in double precision, which the trainer's own report is not
      return loss;
    },
    data,
    steps: Math.max(steps, plannedEpochs * data.length),
    pruner,
    signal: stop.signal,
    onStep: ({ step }) => {
      for (const [key, t] of model.stateDict()) stored.get(key)?.push(...t.doubles());
      if (step + 1 === steps) stop.abort();
    },
  });
  await trainer.run();
  trainer.finish();
  c.close(`${group}/loss`, losses);
  for (const [key, name] of Object.entries(names)) c.close(`${group}/${name}`, stored.get(key) as number[]);
  const final = model.stateDict();
  c.tensor(`${group}/final_w1`, final.get('layer1.weight'));
  c.tensor(`${group}/final_w2`, final.get('layer2.weight'));
  model.dispose();
}
