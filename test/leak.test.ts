// Two thousand training steps of a convolutional network under PDP: native bytes stay exactly where they were, resident
// memory stays flat.
import t from 'tap';
import { crossEntropy, manualSeed, memory, randn, scope, synchronize, tensor } from '../lib/index.js';
import { BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Sequential } from '../lib/nn/index.js';
import { SGD } from '../lib/optim/index.js';
import { type Batch, Trainer } from '../lib/train/index.js';
import { PDP } from '../src/pdp/index.js';

t.test('2,000 steps', async (t) => {
  manualSeed(0);
  const model = new Sequential(
    new Conv2d(1, 8, 3, { padding: 1, bias: false }),
    new BatchNorm2d(8),
    new ReLU(),
    new Flatten(),
    new Linear(8 * 36, 10),
  );
  const data = {
    length: 50,
    *epoch(_: number, start = 0): Generator<Batch> {
      for (let i = start; i < 50; i++)
        yield { input: randn([16, 6, 6, 1]), target: tensor(Int32Array.from({ length: 16 }, (_, j) => (i + j) % 10)) };
    },
  };
  const native: number[] = [];
  const resident: number[] = [];
  const optimizer = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  const trainer = new Trainer({
    model,
    optimizer,
    loss: (y, target) => crossEntropy(y, target),
    data,
    steps: 2000,
    pruner: new PDP({ sparsity: 0.5, warmup: 100, epsilon: 0.01 }),
    onStep: ({ step }) => {
      if (step % 250 !== 249) return;
      const { live, cached, tensors } = memory.stats();
      native.push(live, tensors, live + cached);
      const { rss, heapTotal } = process.memoryUsage();
      // V8 sizes its own heap as it likes, and more so with a test runner's instrumentation in it.
      resident.push(rss - heapTotal);
    },
  });
  await trainer.run();
  const samples = native.length / 3;
  // The first sample comes after the warm-up has become pruning.
  for (let i = 1; i < samples; i++)
    t.strictSame(
      native.slice(3 * i, 3 * i + 3),
      native.slice(3, 6),
      `live bytes, tensors and reserved bytes after ${250 * (i + 1)} steps`,
    );
  const growth = (resident[samples - 1] as number) - (resident[1] as number);
  t.ok(
    growth < 16 * 2 ** 20,
    `resident memory outside the JavaScript heap grew by ${(growth / 2 ** 20).toFixed(1)} MiB over the last 1,500 steps`,
  );
});

t.test('tensors in scopes leave nothing', (t) => {
  const x = randn([64, 64]);
  const work = (): void => scope(() => void x.matmul(x).relu().sum());
  work();
  synchronize();
  const before = memory.stats();
  for (let i = 0; i < 2000; i++) work();
  synchronize();
  const after = memory.stats();
  t.equal(after.live, before.live);
  t.equal(after.tensors, before.tensors);
  t.ok(after.cached <= before.cached + 2 ** 20);
  t.end();
});
