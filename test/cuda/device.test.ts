// The GPU as a user meets it: tensors, models, training and checkpoints there, against the same on the CPU.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type Device,
  type Tensor,
  defaultDevice,
  describeDevice,
  device,
  manualSeed,
  memory,
  rand,
  randn,
  scope,
  setDefaultDevice,
  synchronize,
  tensor,
  writeData,
} from '../../lib/index.js';
import { BatchNorm2d, Dropout, Linear, type Module, ReLU, Sequential } from '../../lib/nn/index.js';
import { AdamW, SGD, oneCycleLr } from '../../lib/optim/index.js';
import { type Batch, Trainer, evaluate, prunableSites } from '../../lib/train/index.js';
import { PDP, sparsityReport } from '../../src/pdp/index.js';
import { noGpu } from './gpu.js';

const opts = { skip: noGpu };
const values = (x: Tensor): number[] => [...x.data()];
const near = (x: readonly number[], y: readonly number[], tolerance: number): boolean =>
  x.length === y.length && x.every((v, i) => Math.abs(v - (y[i] as number)) <= tolerance * Math.max(1, Math.abs(v)));

t.test('tensors go there and come back bit for bit', opts, (t) => {
  t.equal(device('auto'), 'cuda');
  t.match(describeDevice('cuda'), /^cuda:0 \S/);
  t.match(describeDevice('cpu'), /^cpu \(\w+, \d+ threads\)$/);
  const cases = [
    tensor([1.5, -0, NaN, Infinity, 1e-40]),
    tensor([1.5, -2.25, NaN], { dtype: 'bf16' }),
    tensor(Int32Array.of(-(2 ** 31), 7, 2 ** 31 - 1)),
    tensor(Uint8Array.of(0, 255)),
    tensor([], { shape: [0, 3] }),
  ];
  for (const x of cases) {
    const there = x.to('cuda');
    t.equal(there.device, 'cuda');
    t.equal(there.to('cuda'), there, 'already there');
    const back = there.to('cpu');
    t.strictSame([back.dtype, back.shape, back.data()], [x.dtype, x.shape, x.data()], x.dtype);
  }
  const there = tensor([1, 2, 3], { device: 'cuda' });
  writeData(there, [4, 5, 6]);
  t.strictSame(values(there), [4, 5, 6]);
  t.match(String(tensor([1], { device: 'cuda' }).item()), '1');
  t.end();
});

t.test('a default device for what is made without naming one', opts, (t) => {
  const before = setDefaultDevice('cuda');
  try {
    t.equal(before, 'cpu');
    t.equal(defaultDevice(), 'cuda');
    t.equal(tensor([1]).device, 'cuda');
    t.equal(rand([2]).device, 'cuda');
    t.equal(new Linear(2, 2).device, 'cuda');
  } finally {
    setDefaultDevice(before);
  }
  t.equal(tensor([1]).device, 'cpu');
  t.end();
});

t.test('the same random numbers, the same initial values', opts, (t) => {
  const draw = (on: Device): [number[], number[], number[]] => {
    manualSeed(11);
    const before = setDefaultDevice(on);
    try {
      return [values(rand([1003])), values(randn([1003])), values(new Linear(17, 9).weight)];
    } finally {
      setDefaultDevice(before);
    }
  };
  const [uniform, normal, weight] = draw('cpu');
  const [uniformThere, normalThere, weightThere] = draw('cuda');
  t.strictSame(uniformThere, uniform, 'uniform: bit for bit');
  t.ok(near(normalThere, normal, 1e-5), 'normal: but for rounding');
  t.strictSame(weightThere, weight, 'weights: bit for bit');
  t.end();
});

function network(): Sequential {
  manualSeed(3);
  return new Sequential(new Linear(12, 24), new ReLU(), new Dropout(0.2), new Linear(24, 5));
}
// Batches made on the CPU, whatever the model's device.
const data = {
  length: 6,
  *epoch(_: number, start = 0): Generator<Batch> {
    for (let i = start; i < 6; i++) {
      const x = Float32Array.from({ length: 8 * 12 }, (_, j) => Math.sin(i * 31 + j * 0.7));
      const y = Float32Array.from({ length: 8 * 5 }, (_, j) => Math.cos(i + j));
      yield { input: tensor(x, { shape: [8, 12] }), target: tensor(y, { shape: [8, 5] }) };
    }
  },
};
const loss = (y: Tensor, target: Tensor): Tensor => {
  const d = y.sub(target);
  return d.mul(d).mean();
};

interface Trained {
  readonly model: Module;
  readonly trainer: Trainer;
  readonly losses: number[];
}

function training(
  on: Device,
  kind: 'sgd' | 'adamW',
  stop: { signal?: AbortSignal; checkpoint?: string } = {},
): Trained {
  const steps = 18;
  const model = network().to(on);
  const optimizer =
    kind === 'sgd'
      ? new SGD(model.namedParameters(), { lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 1e-4 })
      : new AdamW(model.namedParameters(), { lr: 0.01 });
  const losses: number[] = [];
  const trainer = new Trainer({
    model,
    optimizer,
    loss,
    data,
    steps,
    clipGradNorm: 0.5,
    schedule: oneCycleLr({ total: steps, pctStart: 0.3 }),
    pruner: new PDP({ sparsity: 0.8, tau: 1e-3 }),
    ...stop,
    onStep: (r) => losses.push(r.loss),
  });
  return { model, trainer, losses };
}

for (const kind of ['sgd', 'adamW'] as const) {
  t.test(`a PDP run there gives what it gives on the CPU: ${kind}`, opts, async (t) => {
    const here = training('cpu', kind);
    await here.trainer.run();
    const there = training('cuda', kind);
    t.equal(there.model.device, 'cuda');
    await there.trainer.run();
    t.equal(there.losses.length, 18);
    t.ok(near(there.losses, here.losses, 1e-4), `${String(there.losses)} against ${String(here.losses)}`);
    const scored = await evaluate(there.model, data.epoch(0), loss);
    t.ok(near([scored.loss], [(await evaluate(here.model, data.epoch(0), loss)).loss], 1e-3));
    there.trainer.finish();
    const { prunable } = sparsityReport(there.model, prunableSites(there.model), [12]);
    t.equal(prunable.parameters - prunable.nonzeros, Math.floor(0.8 * (12 * 24 + 24 * 5)), 'exact zeros');
    for (const p of there.model.parameters()) t.equal(p.device, 'cuda');
  });
}

t.test('a checkpoint of a model there resumes there, and on the CPU', opts, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-'));
  const path = join(folder, 'half.safetensors');
  const whole = training('cuda', 'sgd');
  await whole.trainer.run();
  const stop = new AbortController();
  const half = training('cuda', 'sgd', { signal: stop.signal, checkpoint: path });
  const push = half.losses.push.bind(half.losses);
  half.losses.push = (...x) => {
    if (half.losses.length === 9) stop.abort();
    return push(...x);
  };
  await half.trainer.run();
  const rest = training('cuda', 'sgd');
  t.strictSame(rest.trainer.resume(path), []);
  await rest.trainer.run();
  t.strictSame([...half.losses, ...rest.losses], whole.losses, 'bit for bit');
  t.strictSame(values(rest.model.parameters()[0] as Tensor), values(whole.model.parameters()[0] as Tensor));
  const cpu = training('cpu', 'sgd');
  t.match(cpu.trainer.resume(path), [/gpu cuda:0 .*, this run has none/]);
  await cpu.trainer.run();
  t.ok(near(cpu.losses, rest.losses, 1e-3));
  rmSync(folder, { recursive: true });
});

t.test('buffers move with the parameters', opts, (t) => {
  const norm = new BatchNorm2d(3);
  norm.to('cuda');
  t.strictSame(
    [...norm.stateDict().values()].map((x) => x.device),
    ['cuda', 'cuda', 'cuda', 'cuda'],
  );
  norm.loadStateDict(new BatchNorm2d(3).stateDict());
  t.strictSame(values(norm.to('cpu').runningVar), [1, 1, 1]);
  t.end();
});

t.test('memory there is counted, and flat over steps', opts, (t) => {
  const x = randn([64, 64], { device: 'cuda' });
  const work = (): void => scope(() => void x.matmul(x).relu().sum());
  work();
  synchronize('cuda');
  const before = memory.stats('cuda');
  t.ok(before.live >= 64 * 64 * 4 && before.limit > before.live && before.systemAllocations > 0);
  for (let i = 0; i < 20; i++) work();
  synchronize('cuda');
  const after = memory.stats('cuda');
  t.equal(after.live, before.live);
  t.equal(after.cached, before.cached);
  t.ok(after.allocations > before.allocations);
  t.equal(after.systemAllocations, before.systemAllocations);
  memory.emptyCache('cuda');
  t.equal(memory.stats('cuda').cached, 0);
  t.end();
});

t.test('tensors on two devices do not meet in one op', opts, (t) => {
  const here = tensor([1, 2]);
  const there = here.to('cuda');
  t.throws(() => here.add(there), { code: 'ERR_DEVICE', message: /add.*cpu.*cuda|add.*cuda.*cpu/ });
  t.end();
});
