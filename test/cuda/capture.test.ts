// Captured steps: whole training steps, replayed as one launch, give the weights that ordinary steps give, bit for bit;
// and what cannot be captured, or is no longer the step that was recorded, is refused by name.
import t from 'tap';
import {
  type Captured,
  type Tensor,
  capture,
  dropout,
  embedding,
  keep,
  manualSeed,
  memory,
  noGrad,
  oneHot,
  ones,
  rand,
  randn,
  randomState,
  scatterAdd,
  scope,
  synchronize,
  tensor,
  topk,
  writeData,
  zeros,
} from '../../lib/index.js';
import { Dropout, Linear, ReLU, Sequential } from '../../lib/nn/index.js';
import { AdamW, SGD, oneCycleLr } from '../../lib/optim/index.js';
import { type Batch, Trainer } from '../../lib/train/index.js';
import { PDP } from '../../src/pdp/index.js';
import { noGpu } from './gpu.js';

const opts = { skip: noGpu };
const values = (x: Tensor): number[] => [...x.data()];
const on = { device: 'cuda' } as const;

/** Runs a step of its own so many times, captured or not. */
function run<T>(
  captured: boolean,
  steps: number,
  step: () => T,
  each: (result: T, i: number) => void,
): Captured<T> | undefined {
  const call = captured ? capture(step) : undefined;
  for (let i = 0; i < steps; i++) each((call ?? step)(), i);
  return call;
}

t.test('numbers that change, random numbers, results', opts, (t) => {
  const trace = (captured: boolean): number[] => {
    manualSeed(5);
    const x = tensor([1, 2, 3, 4, 5, 6, 7, 8], on);
    const sum = tensor([0], on);
    let factor = 1;
    const out: number[] = [];
    const call = run(
      captured,
      6,
      () =>
        scope(() => {
          const y = dropout(x, 0.5)
            .mul(factor)
            .add(rand([8], on));
          noGrad(() => sum.add_(y.sum()));
          factor += 0.5;
          return y;
        }),
      (y, i) => {
        out.push(...values(y), sum.item());
        y.dispose();
        writeData(
          x,
          Array.from({ length: 8 }, (_, j) => i + j),
        );
      },
    );
    out.push(randomState().position);
    if (captured) t.ok((call as Captured<unknown>).nodes >= 4, 'one launch stands for several');
    call?.dispose();
    return out;
  };
  t.strictSame(trace(true), trace(false));
  t.end();
});

/** Everything that lies in a training step: forward with dropout, backward, clipping, update, thresholds and soft masks. */
interface Network {
  readonly model: Sequential;
  readonly losses: number[];
  readonly trainer: Trainer;
  readonly pruner: PDP;
}

const data = {
  length: 7,
  *epoch(_: number, start = 0): Generator<Batch> {
    for (let i = start; i < 7; i++) {
      // The last one is not full: an ordinary step among captured ones.
      const rows = i === 6 ? 3 : 8;
      const x = Float32Array.from({ length: rows * 12 }, (_, j) => Math.sin(i * 31 + j * 0.7));
      const y = Float32Array.from({ length: rows * 5 }, (_, j) => Math.cos(i + j));
      yield { input: tensor(x, { shape: [rows, 12] }), target: tensor(y, { shape: [rows, 5] }) };
    }
  },
};

function training(captured: boolean, kind: 'sgd' | 'adamW', finetune = 0): Network {
  manualSeed(3);
  const model = new Sequential(new Linear(12, 24), new ReLU(), new Dropout(0.2), new Linear(24, 5)).to('cuda');
  const optimizer =
    kind === 'sgd'
      ? new SGD(model.namedParameters(), { lr: 0.05, momentum: 0.9, nesterov: true })
      : new AdamW(model.namedParameters(), { lr: 0.01 });
  const losses: number[] = [];
  const pruner = new PDP({ sparsity: 0.8, tau: 1e-3, finetune });
  const trainer = new Trainer({
    model,
    optimizer,
    loss: (y, target) => {
      const d = y.sub(target);
      return d.mul(d).mean();
    },
    data,
    steps: 24,
    clipGradNorm: 0.5,
    schedule: oneCycleLr({ total: 24, pctStart: 0.3 }),
    pruner,
    capture: captured,
    onStep: (r) => losses.push(r.loss),
  });
  return { model, losses, trainer, pruner };
}

for (const [kind, finetune] of [
  ['sgd', 0],
  ['adamW', 6],
] as const) {
  t.test(`a PDP run in captured steps, ${kind}, ${finetune} steps of fine-tuning`, opts, async (t) => {
    const plain = training(false, kind, finetune);
    await plain.trainer.run();
    const captured = training(true, kind, finetune);
    await captured.trainer.run();
    t.strictSame(captured.losses, plain.losses, 'losses');
    const weights = (n: Network): number[][] => n.model.parameters().map(values);
    t.strictSame(weights(captured), weights(plain), 'weights, bit for bit');
    t.equal(captured.pruner.threshold('0.weight'), plain.pruner.threshold('0.weight'), 'thresholds can be read');
    for (const n of [plain, captured]) n.trainer.finish();
    t.strictSame(weights(captured), weights(plain), 'and when it is finished');
  });
}

t.test('a captured step gives its memory back', opts, async (t) => {
  synchronize('cuda');
  await training(true, 'sgd').trainer.run();
  const run = async (): Promise<number> => {
    const n = training(true, 'sgd');
    await n.trainer.run();
    n.trainer.finish();
    n.model.dispose();
    return memory.stats('cuda').live;
  };
  // Optimizer and thresholds of a run are left to the collector; what a recording holds is not.
  const first = await run();
  const second = await run();
  t.ok(second - first < 64 * 1024, `${second - first} bytes more`);
});

t.test('what cannot be captured is refused by name', opts, (t) => {
  const x = tensor([1, 2], on);
  const refused = (name: string, step: () => unknown): void => {
    const call = capture(() => scope(step));
    call();
    t.throws(call, { code: 'ERR_CAPTURE', message: new RegExp(`^${name}: cannot be part of a captured step`) }, name);
    t.strictSame(values(x.add(1)), [2, 3], `${name}: the GPU works on`);
    call.dispose();
  };
  refused('item', () => x.sum().item());
  refused('data', () => x.add(1).data());
  refused('tensor', () => x.add(tensor([1, 2], on)));
  refused('writeData', () => {
    writeData(x, [1, 2]);
  });
  refused('synchronize', () => {
    synchronize('cuda');
  });
  t.throws(
    () => {
      const inner = capture(() => undefined);
      const outer = capture(() => inner());
      outer();
      outer();
    },
    { code: 'ERR_CAPTURE', message: /part of another/ },
  );
  t.throws(() => capture(() => Promise.resolve())(), { code: 'ERR_SCOPE' });
  t.end();
});

t.test('another step than the recorded one is refused', opts, (t) => {
  const x = tensor([1, 2, 3, 4], on);
  const other = tensor([1, 2, 3, 4], on);
  let change: 'nothing' | 'op' | 'tensor' | 'shape' | 'longer' | 'shorter' | 'kept' = 'nothing';
  const step = (): Tensor =>
    scope(() => {
      const y = (change === 'tensor' ? other : x).add(1);
      if (change === 'shorter') return y;
      const z = change === 'op' ? y.exp() : y.relu();
      if (change === 'longer') x.neg();
      if (change === 'kept') keep(y);
      return change === 'shape' ? z.narrow(0, 0, 2) : z;
    });
  const refused = (how: typeof change, says: RegExp): void => {
    change = 'nothing';
    const call = capture(step);
    for (let i = 0; i < 3; i++) t.strictSame(values(call()), [2, 3, 4, 5]);
    change = how;
    t.throws(call, { code: 'ERR_CAPTURE', message: says }, how);
    call.dispose();
    t.throws(call, { code: 'ERR_DISPOSED' });
  };
  refused('op', /call \d of this step is exp where relu was recorded/);
  refused('tensor', /call \d of this step is \w+ with other tensors/);
  refused('longer', /is neg where the end was recorded/);
  refused('shorter', /is the end where relu was recorded/);
  refused('shape', /is view where the end was recorded|is \w+ where the end/);
  refused('kept', /kept a result of/);
  t.end();
});

t.test('an error inside a step is that error, and the GPU works on', opts, (t) => {
  const x = tensor([1, 2], on);
  let bad = false;
  const call = capture(() =>
    scope(() => {
      if (bad) x.reshape([3]);
      return x.add(1);
    }),
  );
  call();
  bad = true;
  t.throws(call, { code: 'ERR_SHAPE_MISMATCH' });
  bad = false;
  t.strictSame(values(call()), [2, 3]);
  t.strictSame(values(call()), [2, 3]);
  call.dispose();
  t.end();
});

t.test('another seed is a number that changes', opts, (t) => {
  const x = tensor([1, 1, 1, 1, 1], on);
  const step = (): Tensor =>
    scope(() =>
      rand([5], on)
        .add(dropout(x, 0.5))
        .add(randn([5], on)),
    );
  const call = capture(step);
  call();
  call();
  for (const seed of [2, 3, 2 ** 40 + 7]) {
    manualSeed(seed);
    const got = values(call());
    manualSeed(seed);
    t.strictSame(got, values(step()), `seed ${seed}`);
  }
  call.dispose();
  t.end();
});

t.test('numbers of a step that did not reach the GPU reach it with the next', opts, async (t) => {
  const x = tensor([1, 2], on);
  let factor = 2;
  let bad = false;
  const call = capture(() =>
    scope(() => {
      const y = x.mul(factor);
      if (bad) throw new Error('mine');
      return y;
    }),
  );
  for (let i = 0; i < 3; i++) t.strictSame(values(call()), [2, 4]);
  factor = 3;
  bad = true;
  t.throws(call, /mine/);
  bad = false;
  t.strictSame(values(call()), [3, 6], 'a step that threw');
  // Once an error has come up, what is queued is passed over until somebody has heard of it.
  const wrong = embedding(tensor([1, 2], { shape: [2, 1], ...on }), tensor(Int32Array.of(9), on)).dataAsync();
  factor = 4;
  call();
  await t.rejects(wrong, { code: 'ERR_KERNEL' });
  t.strictSame(values(call()), [4, 8], 'a step that was passed over');
  call.dispose();
});

t.test('an index out of range in a replay is told of by its op', opts, (t) => {
  const table = tensor([1, 2, 3, 4], { shape: [2, 2], ...on });
  const indices = tensor(Int32Array.of(0), on);
  const call = capture(() => scope(() => embedding(table, indices)));
  for (let i = 0; i < 3; i++) t.strictSame(values(call()), [1, 2]);
  // As many checks as there are places for reports.
  for (let i = 0; i < 256; i++) oneHot(indices, 7).dispose();
  writeData(indices, [5]);
  t.throws(() => call().data(), { code: 'ERR_KERNEL', message: /indexSelect: index 5 .* outside the extent 2/ });
  call.dispose();
  t.end();
});

t.test('a step that needs more than its first call', opts, (t) => {
  const x = zeros([1_100_000], { dtype: 'bf16', ...on });
  const index = zeros([1], { dtype: 'i32', ...on });
  const one = ones([1], { dtype: 'bf16', ...on });
  let n = 2;
  // In bf16 the sums are made in f32, in scratch memory.
  const call = capture(() => scope(() => scatterAdd(x.narrow(0, 0, n), 0, index, one).narrow(0, 0, 1)));
  call();
  n = 1_100_000;
  for (let i = 0; i < 2; i++) t.equal(call().item(), 1, 'scratch memory grows while it is recorded');
  call.dispose();
  let another = false;
  const other = capture(() =>
    scope(() => {
      const y = x.narrow(0, 0, 3);
      return another ? topk(y, 1).values : y.add(1);
    }),
  );
  other();
  another = true;
  t.throws(other, { code: 'ERR_CUDA', message: /^topk: loading the kernels of topk/ });
  for (let i = 0; i < 3; i++) t.strictSame(values(other()), [0], 'and works when it is called again');
  t.ok(other.nodes > 0);
  other.dispose();
  t.end();
});

t.test('a step may dispose of its own capture', opts, (t) => {
  const x = tensor(new Float32Array(1 << 16), on);
  const live = memory.stats('cuda').live;
  for (let i = 0; i < 3; i++) {
    let last = false;
    const call: Captured<Tensor> = capture(() => {
      if (last) call.dispose();
      return scope(() => x.add(1));
    });
    call().dispose();
    last = true;
    const y = call();
    t.equal(y.data()[9], 1);
    y.dispose();
    t.equal(call.nodes, 0);
    t.throws(call, { code: 'ERR_DISPOSED' });
  }
  t.equal(memory.stats('cuda').live, live, 'its memory is given back');
  t.end();
});

t.test('a trainer on the CPU refuses to capture', opts, (t) => {
  t.throws(
    () => {
      const model = new Linear(2, 2);
      return new Trainer({
        model,
        optimizer: new SGD(model.parameters()),
        loss: (y) => y.mean(),
        data,
        steps: 1,
        capture: true,
      });
    },
    { code: 'ERR_DEVICE', message: /capture is for models on the GPU/ },
  );
  t.end();
});
