// PDP folded into the optimizer's step: the same run, bit for bit, and a reason by name where the fold is off.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Device, type Tensor, manualSeed, memory, tensor } from '../../lib/index.js';
import { Conv2d, Flatten, Linear, type Module, ReLU, Sequential } from '../../lib/nn/index.js';
import { AdamW, type Optimizer, RMSprop, SGD } from '../../lib/optim/index.js';
import { type Batch, Trainer, type TrainerOptions } from '../../lib/train/index.js';
import { PDP, type PdpOptions } from '../../src/pdp/index.js';

const device = (process.env['SECATEUR_TEST_DEVICE'] ?? 'cpu') as Device;

function perceptron(): Sequential {
  manualSeed(5);
  return new Sequential(new Linear(12, 33), new ReLU(), new Linear(33, 17), new ReLU(), new Linear(17, 3));
}
function convolutional(): Sequential {
  manualSeed(6);
  return new Sequential(new Conv2d(3, 8, 3, { padding: 1 }), new ReLU(), new Flatten(), new Linear(32, 3));
}

const batches = 4;
/** The same four batches of seven samples in every epoch. */
function dataOf(shape: readonly number[]): TrainerOptions['data'] {
  const size = shape.reduce((a, b) => a * b, 1);
  return {
    length: batches,
    *epoch(_epoch: number, start = 0): Generator<Batch> {
      for (let i = start; i < batches; i++) {
        const x = Float32Array.from({ length: 7 * size }, (_, j) => Math.sin(1.7 * i + 0.31 * j * j));
        const target = Float32Array.from({ length: 21 }, (_, j) => Math.cos(i + j * j));
        yield {
          input: tensor(x, { shape: [7, ...shape], device }),
          target: tensor(target, { shape: [7, 3], device }),
        };
      }
    },
  };
}

const squares = (output: Tensor, target: Tensor): Tensor => {
  const off = output.sub(target);
  return off.mul(off).mean();
};

const makers = {
  momentum: (m: Module) => new SGD(m.namedParameters(), { lr: 0.05, momentum: 0.9, weightDecay: 1e-3 }),
  nesterov: (m: Module) => new SGD(m.namedParameters(), { lr: 0.05, momentum: 0.9, nesterov: true }),
  plain: (m: Module) => new SGD(m.namedParameters(), { lr: 0.1 }),
  adamW: (m: Module) => new AdamW(m.namedParameters(), { lr: 0.01 }),
};

interface Course {
  readonly make: (m: Module) => Optimizer<{ readonly lr: number }>;
  readonly network?: () => Module;
  readonly shape?: readonly number[];
  readonly pdp?: Partial<PdpOptions>;
  readonly trainer?: Partial<TrainerOptions>;
  readonly steps?: number;
}

function prepare({ make, network = perceptron, shape = [12], pdp = {}, trainer = {}, steps = 12 }: Course) {
  const model = network().to(device);
  const losses: number[] = [];
  const optimizer = make(model);
  const pruner = new PDP({ sparsity: 0.8, tau: 1e-3, warmup: 3, ...pdp });
  const run = new Trainer({
    model,
    optimizer,
    pruner,
    loss: squares,
    data: dataOf(shape),
    steps,
    onStep: (r) => losses.push(r.loss),
    ...trainer,
  });
  const weights = (): number[] => model.parameters().flatMap((p) => [...p.data()]);
  return { model, run, losses, weights, optimizer };
}

/** Runs a course with the fold on and off; everything must be the same. */
function equal(name: string, course: Course): void {
  t.test(name, async (t) => {
    const [on, off] = [true, false].map((fold) => prepare({ ...course, trainer: { ...course.trainer, fold } })) as [
      ReturnType<typeof prepare>,
      ReturnType<typeof prepare>,
    ];
    t.strictSame(on.run.fold, { on: true });
    t.equal(off.run.fold.on, false);
    await on.run.run();
    await off.run.run();
    t.strictSame(on.losses, off.losses, 'losses');
    t.strictSame(on.weights(), off.weights(), 'weights');
    t.strictSame(on.optimizer.json(), off.optimizer.json(), 'step counts');
    on.run.finish();
    off.run.finish();
    t.strictSame(on.weights(), off.weights(), 'final weights');
    t.ok(on.weights().filter((x) => x === 0).length > 100, 'something was pruned');
  });
}

for (const [name, make] of Object.entries(makers)) equal(name, { make });
equal('in bf16', { make: makers.adamW, trainer: { autocast: true } });
equal('a convolution', { make: makers.momentum, network: convolutional, shape: [2, 2, 3] });
for (const [name, make] of Object.entries(makers)) equal(`${name}, clipped`, { make, trainer: { clipGradNorm: 1e-3 } });
equal('in bf16, clipped', { make: makers.momentum, trainer: { autocast: true, clipGradNorm: 1e-3 } });
equal('by epochs, with a fine-tune', {
  make: makers.nesterov,
  pdp: { unit: 'epoch', warmup: 1, finetune: 1 },
  steps: 20,
});

t.test('parameters under the mask have no gradient of their own', async (t) => {
  const seen: boolean[] = [];
  const course = prepare({ make: makers.momentum, pdp: { warmup: 1 } });
  const first = course.model.parameters()[0];
  const pruner = prepare({ make: makers.momentum });
  pruner.run.finish();
  const spy = course.optimizer.step.bind(course.optimizer);
  course.optimizer.step = (masked) => {
    spy(masked);
    seen.push(first?.grad !== undefined);
  };
  await course.run.run();
  t.strictSame(seen.slice(0, 3), [true, false, false], 'dense, then masked');
});

t.test('a layer that a step does not use keeps its weights, as without the fold', async (t) => {
  const make = (fold: boolean, clip: Partial<TrainerOptions> = {}) => {
    let calls = 0;
    class Skipping extends Sequential {
      override forward(x: Parameters<Sequential['forward']>[0]) {
        const [first, , second] = this.children().map(([, m]) => m) as [Module, Module, Module];
        // Every third pass leaves the middle layer out.
        return calls++ % 3 === 2 ? first.forward(x) : second.forward(first.forward(x));
      }
    }
    return prepare({
      make: makers.momentum,
      network: () => {
        manualSeed(8);
        return new Skipping(new Linear(12, 3), new ReLU(), new Linear(3, 3));
      },
      trainer: { fold, ...clip },
    });
  };
  const free: number[] = [];
  for (const clip of [{}, { clipGradNorm: 1e-3 }]) {
    const [on, off] = [make(true, clip), make(false, clip)];
    await on.run.run();
    await off.run.run();
    t.strictSame(on.losses, off.losses);
    t.strictSame(on.weights(), off.weights());
    free.push(on.losses.at(-1) as number);
  }
  t.not(free[0], free[1], 'clipping makes a difference');
});

t.test('a run that was stopped goes on as if it had not been', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'secateur-fold-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'run.safetensors');
  const whole = prepare({ make: makers.adamW });
  await whole.run.run();
  const stop = new AbortController();
  const first = prepare({
    make: makers.adamW,
    trainer: { signal: stop.signal, checkpoint: path, onStep: ({ step }) => step === 6 && stop.abort() },
  });
  t.equal((await first.run.run()).stopped, 'aborted');
  const rest = prepare({ make: makers.adamW });
  t.strictSame(rest.run.resume(path), []);
  await rest.run.run();
  t.strictSame(rest.losses, whole.losses.slice(7));
  t.strictSame(rest.weights(), whole.weights());
});

t.test('thresholds that stand for several steps stand in a resumed run too', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'secateur-stand-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'run.safetensors');
  const course: Course = { make: makers.momentum, pdp: { recomputeEvery: 3, finetune: 2 }, steps: 14 };
  const whole = prepare(course);
  await whole.run.run();
  for (let stop = 1; stop < 14; stop++) {
    const abort = new AbortController();
    const onStep: TrainerOptions['onStep'] = ({ step }) => step === stop - 1 && abort.abort();
    await prepare({ ...course, trainer: { signal: abort.signal, checkpoint: path, onStep } }).run.run();
    const rest = prepare(course);
    rest.run.resume(path);
    await rest.run.run();
    t.strictSame(rest.losses, whole.losses.slice(stop), `stopped after ${stop} steps`);
    t.strictSame(rest.weights(), whole.weights(), 'bit for bit');
  }
  const damaged = new PDP({ sparsity: 0.5, recomputeEvery: 3, warmup: 0 });
  damaged.state.json = { pruned: [1, 'two'] };
  const model = perceptron();
  const run = new Trainer({
    model,
    optimizer: makers.plain(model),
    pruner: damaged,
    loss: squares,
    data: dataOf([12]),
    steps: 8,
  });
  await t.rejects(run.run(), { code: 'ERR_CHECKPOINT', message: /needs whole numbers for 3 layers/ });
});

t.test('where the fold is off, the trainer says why', (t) => {
  const reason = (course: Course): string => {
    const { fold } = prepare(course).run;
    return fold.on ? 'on' : fold.reason;
  };
  const { momentum } = makers;
  t.equal(reason({ make: momentum }), 'on');
  t.match(reason({ make: momentum, trainer: { fold: false } }), 'switched off');
  t.equal(reason({ make: momentum, trainer: { clipGradNorm: 1 } }), 'on');
  if (device === 'cuda') t.match(reason({ make: momentum, trainer: { capture: true } }), 'capture');
  t.match(reason({ make: momentum, pdp: { throughThreshold: true } }), 'throughThreshold');
  t.match(reason({ make: momentum, pdp: { recomputeEvery: 2 } }), 'recomputeEvery');
  t.match(reason({ make: (m) => new RMSprop(m.namedParameters()) }), 'RMSprop');
  t.match(
    reason({ make: (m) => new SGD(m.namedParameters().map((p) => ({ params: [p] }))) }),
    'not all in one parameter group',
  );
  const tied = (): Module => {
    const net = new Sequential(new Linear(12, 12), new Linear(12, 12));
    const [a, b] = net.children().map(([, m]) => m as Linear) as [Linear, Linear];
    (b as { weight: Linear['weight'] }).weight = a.weight;
    return net;
  };
  t.match(reason({ make: momentum, network: tied }), 'tied');
  const plain = new Trainer({
    model: perceptron(),
    optimizer: new SGD(perceptron().parameters()),
    loss: squares,
    data: dataOf([12]),
    steps: 1,
  });
  t.strictSame(plain.fold, { on: false, reason: 'nothing is pruned' });
  t.end();
});

t.test('the fold leaves no memory behind', async (t) => {
  const course = { make: makers.momentum, steps: 60 };
  const before: number[] = [];
  const { run } = prepare({
    ...course,
    trainer: { onStep: ({ step }) => step % 20 === 19 && before.push(memory.stats(device).live) },
  });
  await run.run();
  t.equal(before[2], before[1]);
});
