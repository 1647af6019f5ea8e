// Whole networks on the GPU: a narrow ResNet-20 whose losses are the CPU's, with own kernels and with the stand-ins for
// the vendor's libraries; a PDP run of a convolutional network to its exact sparsity; device memory flat over steps.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { crossEntropy, manualSeed, memory, tensor } from '../../lib/index.js';
import { BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import { type Batch, Trainer, evaluate, prunableSites } from '../../lib/train/index.js';
import { PDP, sparsityReport } from '../../src/pdp/index.js';
import { inProcess, noGpu, noSimulator } from './gpu.js';

const opts = { skip: noGpu };

/** Trains ResNet-20 of width 4 on images of 16 x 16 and prints its losses; `DEVICE` and `STEPS` come from the environment. */
const resnet = `
  import { manualSeed, crossEntropy, setPrecision, tensor } from 'lib/index.js';
  import { SGD } from 'lib/optim/index.js';
  import { Trainer } from 'lib/train/index.js';
  import { resnet20 } from 'src/models/index.js';
  // The CPU's fast convolutions are rounded otherwise, and a step magnifies what the one before has left.
  setPrecision('highest');
  manualSeed(1);
  const model = resnet20({ inChannels: 1, numClasses: 10, baseWidth: 4 }).to(process.env.DEVICE);
  const data = { length: 4, *epoch(_, start = 0) {
    for (let i = start; i < 4; i++) yield {
      input: tensor(Float32Array.from({ length: 4 * 256 }, (_, j) => Math.sin(i * 57 + j * 0.37)), { shape: [4, 16, 16, 1] }),
      target: tensor(Int32Array.from({ length: 4 }, (_, j) => (3 * i + j) % 10)),
    };
  } };
  const losses = [];
  await new Trainer({
    model, data, steps: Number(process.env.STEPS), loss: (y, z) => crossEntropy(y, z), autocast: process.env.BF16 === '1',
    optimizer: new SGD(model.namedParameters(), { lr: 0.01, momentum: 0.9, weightDecay: 5e-4 }),
    onStep: (r) => losses.push(r.loss),
  }).run();
  console.log(JSON.stringify(losses));
`;

function losses(env: Readonly<Record<string, string>>): number[] {
  const { status, out, err } = inProcess(resnet, { STEPS: '10', SECATEUR_GPUSIM_RACES: '0', ...env });
  if (status !== 0) throw new Error(err.slice(-2000));
  return JSON.parse(out) as number[];
}

function worst(x: readonly number[], y: readonly number[]): number {
  return Math.max(...x.map((v, i) => Math.abs(v - (y[i] as number)) / Math.abs(y[i] as number)));
}

/** Steps of so few images magnify what rounding left of the step before: tight at first, loose at the end. */
function agree(t: Test, there: readonly number[], here: readonly number[]): void {
  const both = `${String(there)} against ${String(here)}`;
  t.ok(worst(there.slice(0, 5), here.slice(0, 5)) < 1e-4, both);
  t.ok(worst(there, here) < 0.05, both);
}

const fakes = join(packageRoot(), 'build-gpusim', 'fakes');
const noFakes =
  noSimulator !== false ? noSimulator : existsSync(join(fakes, 'libcudnn.so')) ? false : 'the stand-ins are not built';

t.test('a narrow ResNet-20 learns as on the CPU, own kernels', opts, (t) => {
  const here = losses({ DEVICE: 'cpu' });
  const there = losses({ DEVICE: 'cuda' });
  t.equal(there.length, 10);
  agree(t, there, here);
  t.ok(Math.abs((there[0] as number) - (here[0] as number)) < 1e-5, 'the first loss is the same but for rounding');
  t.end();
});

t.test('and with the vendor’s libraries, played by stand-ins', { skip: noFakes }, (t) => {
  const here = losses({ DEVICE: 'cpu' });
  const there = losses({
    DEVICE: 'cuda',
    SECATEUR_LIBCUDNN: join(fakes, 'libcudnn.so'),
    SECATEUR_LIBCUBLASLT: join(fakes, 'libcublasLt.so'),
  });
  t.equal(there.length, 10);
  agree(t, there, here);
  t.end();
});

t.test('and in bf16', opts, (t) => {
  const env = { STEPS: '2', BF16: '1' };
  const here = losses({ DEVICE: 'cpu', ...env });
  const there = losses({ DEVICE: 'cuda', ...env });
  t.ok(there.length === 2 && worst(there, here) < 0.01, `${String(there)} against ${String(here)}`);
  t.end();
});

// Two classes that a small network can tell apart: bright above, bright below.
const data = {
  length: 5,
  *epoch(_: number, start = 0): Generator<Batch> {
    for (let i = start; i < 5; i++) {
      const label = (k: number): number => (i + k) % 2;
      const pixels = Float32Array.from({ length: 8 * 64 }, (_, j) => {
        const upper = j % 64 < 32;
        return Math.sin(i * 13 + j * 1.7) * 0.5 + (upper === (label(Math.floor(j / 64)) === 0) ? 1 : 0);
      });
      yield {
        input: tensor(pixels, { shape: [8, 8, 8, 1] }),
        target: tensor(Int32Array.from({ length: 8 }, (_, k) => label(k))),
      };
    }
  },
};

function small(
  captured: boolean,
  steps: number,
  each?: () => void,
): { model: Sequential; trainer: Trainer; weights: number } {
  manualSeed(2);
  const model = new Sequential(
    new Conv2d(1, 6, 3, { padding: 1, bias: false }),
    new BatchNorm2d(6),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(6, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
    new Flatten(),
    new Linear(8 * 16, 2),
  ).to('cuda');
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.namedParameters(), { lr: 0.05, momentum: 0.9 }),
    loss: (y, target) => crossEntropy(y, target),
    data,
    steps,
    capture: captured,
    clipGradNorm: 5,
    pruner: new PDP({ sparsity: 0.75, warmup: 5, finetune: 5 }),
    ...(each === undefined ? {} : { onStep: each }),
  });
  return { model, trainer, weights: prunableSites(model).reduce((n, s) => n + s.weight.size, 0) };
}

t.test('dense, ramp, fine-tune, finish: the sparsity asked for, exactly', opts, async (t) => {
  const outcome = async (captured: boolean): Promise<number[][]> => {
    const { model, trainer, weights } = small(captured, 25);
    await trainer.run();
    trainer.finish();
    const { prunable } = sparsityReport(model, prunableSites(model), [8, 8, 1]);
    t.equal(prunable.parameters, weights);
    t.equal(prunable.parameters - prunable.nonzeros, Math.floor(0.75 * weights));
    const { accuracy } = await evaluate(model, data.epoch(0), (y, z) => crossEntropy(y, z));
    t.ok(accuracy > 0.9, `accuracy ${accuracy}`);
    return model.parameters().map((p) => [...p.data()]);
  };
  const plain = await outcome(false);
  t.strictSame(await outcome(true), plain, 'captured steps end at the same weights, bit for bit');
});

/** What earlier trainers have left is collected now, not while somebody counts. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await setTimeout(20);
  }
}

t.test('device memory is flat over steps', opts, async (t) => {
  for (const captured of [false, true]) {
    await collectGarbage();
    const seen: number[][] = [];
    let step = 0;
    // Warm-up, ramp and fine-tuning each have a working set of their own: looked at within the ramp.
    const { trainer, model } = small(captured, 60, () => {
      step++;
      const { live, cached, tensors } = memory.stats('cuda');
      if (step > 15 && step < 55 && step % 5 === 0) seen.push([live, cached, tensors]);
    });
    await trainer.run();
    t.ok(seen.length >= 7);
    for (const figures of seen) t.strictSame(figures, seen[0], 'live and cached bytes, tensors');
    trainer.finish();
    model.dispose();
  }
});
