import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Tensor, gradNorm, clipGrads_, memory, scope, tensor } from '../lib/index.js';
import type { Device } from '../lib/core/device.js';
import {
  Adam,
  AdamW,
  LrScheduler,
  type Optimizer,
  type Params,
  RMSprop,
  type Schedule,
  SGD,
  clipGradNorm_,
  constantLr,
  cosineLr,
  linearWarmup,
  multiStepLr,
  oneCycleLr,
  polynomialLr,
  stepLr,
} from '../lib/optim/index.js';
import { relativeError } from './golden/comparison.js';
import { GoldenFile } from './golden/goldenFile.js';
import { root } from './house/tree.js';

interface OptimCase {
  key: string;
  kind: string;
  lr: number;
  momentum: number;
  nesterov: boolean;
  weight_decay: number;
  betas: [number, number];
  eps: number;
  alpha: number;
  centered: boolean;
}
interface LrCase {
  key: string;
  kind: string;
  lr: number;
  steps: number;
  step_size: number;
  gamma: number;
  milestones: number[];
  t_max: number;
  eta_min: number;
  total: number;
  power: number;
  pct_start: number;
  anneal: 'cos' | 'linear';
  div_factor: number;
  final_div_factor: number;
  warmup: number;
  min_lr: number;
}
interface Settings {
  optim: { params: number; steps: number; cases: OptimCase[] };
  lr: { cases: LrCase[] };
  clip: { cases: { key: string; max_norm: number; tensors: number }[] };
}
const file = GoldenFile.open(join(root, 'test/golden/ops/ops'));
const golden = {
  settings: file.settings as unknown as Settings,
  values: (key: string): Float64Array => file.array(key).data,
  place: (key: string, device: Device, requiresGrad = false): Tensor<'f32'> => {
    const { data, shape } = file.array(key);
    return tensor(data, { shape, dtype: 'f32', device, requiresGrad });
  },
};
type Any = Optimizer<{ lr: number }>;

function build(c: OptimCase, params: Params): Any {
  const { lr, momentum, nesterov, betas, eps, alpha, centered, weight_decay: weightDecay } = c;
  const makers: Record<string, () => unknown> = {
    sgd: () => new SGD(params, { lr, momentum, nesterov, weightDecay }),
    adam: () => new Adam(params, { lr, betas, eps, weightDecay }),
    adamw: () => new AdamW(params, { lr, betas, eps, weightDecay }),
    rmsprop: () => new RMSprop(params, { lr, alpha, eps, momentum, centered, weightDecay }),
  };
  return (makers[c.kind] as () => unknown)() as Any;
}

/** Row `step` of an array whose first axis is the step. */
const row = (values: Float64Array, step: number, size: number): Float64Array =>
  values.subarray(step * size, (step + 1) * size);

const { params: count, steps } = golden.settings.optim;
const startValues = (device: Device): Tensor<'f32'>[] =>
  Array.from({ length: count }, (_, i) => golden.place(`optim/p${i}`, device, true));
/** Sets the golden gradients of a step; `skip` leaves one parameter without. */
function setGrads(params: readonly Tensor<'f32'>[], step: number, skip = -1): void {
  params.forEach((p, i) => {
    if (i === skip) return;
    const values = row(golden.values(`optim/g${i}`), step, p.size);
    p.grad = tensor(values, { shape: p.shape, dtype: 'f32', device: p.device });
  });
}

for (const [device, allowed] of [
  ['ref', 1e-9],
  ['cpu', 1e-4],
] as const) {
  t.test(`clipping against the golden data on ${device}`, (t) => {
    for (const c of golden.settings.clip.cases) {
      const params = Array.from({ length: c.tensors }, (_, i) => {
        const grad = golden.place(`${c.key}/g${i}`, device);
        const p = tensor(new Float32Array(grad.size), { shape: grad.shape, device, requiresGrad: true });
        p.grad = grad;
        return p;
      });
      const norm = clipGradNorm_([...params, tensor(1, { device })], c.max_norm);
      t.ok(relativeError(norm.doubles(), golden.values(`${c.key}/total_norm`)) <= allowed, `${c.key} norm`);
      params.forEach((p, i) => {
        const error = relativeError((p.grad as Tensor).doubles(), golden.values(`${c.key}/clipped${i}`));
        t.ok(error <= allowed, `${c.key} clipped${i}: ${error.toExponential(1)}`);
      });
    }
    t.end();
  });
}

function schedule(c: LrCase): Schedule {
  const made: Record<string, () => Schedule> = {
    step: () => stepLr({ stepSize: c.step_size, gamma: c.gamma }),
    multistep: () => multiStepLr({ milestones: c.milestones, gamma: c.gamma }),
    cosine: () => cosineLr({ tMax: c.t_max, etaMin: c.eta_min }),
    polynomial: () => polynomialLr({ total: c.total, power: c.power }),
    one_cycle: () =>
      oneCycleLr({
        total: c.total,
        pctStart: c.pct_start,
        anneal: c.anneal,
        divFactor: c.div_factor,
        finalDivFactor: c.final_div_factor,
      }),
    warmup_cosine: () => linearWarmup(c.warmup, cosineLr({ tMax: c.total - c.warmup, etaMin: c.min_lr, hold: true })),
  };
  return (made[c.kind] as () => Schedule)();
}

t.test('schedules against the golden data, driving an optimizer', (t) => {
  for (const c of golden.settings.lr.cases) {
    const optimizer = new SGD([tensor([1])], { lr: c.lr });
    const scheduler = new LrScheduler(optimizer, schedule(c));
    const rates: number[] = [];
    for (let step = 0; step < c.steps; step++, scheduler.step()) rates.push(optimizer.groups[0]?.options.lr as number);
    const error = relativeError(rates, golden.values(c.key));
    t.ok(error <= 1e-9, `${c.key} ${c.kind}: ${error.toExponential(1)}`);
  }
  t.equal(constantLr(7, 0.5), 0.5);
  t.throws(() => new SGD({} as never), { code: 'ERR_ARGUMENT', message: /needs model.namedParameters\(\)/ });
  t.throws(() => stepLr({ stepsize: 3 } as never), { code: 'ERR_OPTION', message: /stepSize/ });
  t.throws(() => oneCycleLr({ total: 0 }), { code: 'ERR_ARGUMENT' });
  t.end();
});

t.test('groups have their own options, and a scheduler resumes', (t) => {
  const [a, b] = [tensor([1, 1]), tensor([1])];
  const optimizer = new SGD(
    [
      { params: [a], lr: 0.5 },
      { params: [b], weightDecay: 1 },
    ],
    { lr: 0.1 },
  );
  a.grad = tensor([1, 2]);
  b.grad = tensor([1]);
  optimizer.step();
  t.strictSame([...a.data()], [0.5, 0]);
  t.ok(Math.abs(b.item() - 0.8) < 1e-6);
  optimizer.setLr(0, 1);
  optimizer.step();
  t.strictSame([...a.data()], [0, -1]);
  t.ok(Math.abs(b.item() - 0.8) < 1e-6);
  optimizer.addGroup({ params: [['late', tensor([3])]], lr: 2 });
  const scheduler = new LrScheduler(optimizer, [stepLr({ stepSize: 1 }), constantLr, constantLr]);
  scheduler.step();
  const rates = (): number[] => optimizer.groups.map((g) => g.options.lr);
  t.strictSame(rates(), [0.05, 0, 2]);
  const saved = JSON.parse(JSON.stringify(scheduler.json())) as ReturnType<LrScheduler['json']>;
  scheduler.step();
  scheduler.load(saved);
  t.strictSame(rates(), [0.05, 0, 2]);
  t.throws(() => scheduler.load({ step: 1, lrs: [1] }), { code: 'ERR_CHECKPOINT' });
  t.end();
});

t.test('a parameter without a gradient is skipped, its step count too', (t) => {
  const c = golden.settings.optim.cases.find((one) => one.kind === 'adam') as OptimCase;
  const [together, alone] = [startValues('cpu'), startValues('cpu')];
  const both = build(c, together);
  const each = alone.map((p) => build(c, [p]));
  for (let step = 0; step < 4; step++) {
    const skip = step === 1 ? 0 : -1;
    setGrads(together, step, skip);
    setGrads(alone, step, skip);
    both.step();
    each.forEach((o) => o.step());
    both.zeroGrad();
    each.forEach((o) => o.zeroGrad());
  }
  t.strictSame(both.json().steps, { 0: 3, 1: 4 });
  together.forEach((p, i) => t.strictSame(p.data(), alone[i]?.data()));
  t.end();
});

function checkResume(t: Test, c: OptimCase): void {
  const params = startValues('cpu');
  const optimizer = build(c, params);
  const go = (o: Any, list: readonly Tensor<'f32'>[], from: number, to: number): void => {
    for (let step = from; step < to; step++) {
      setGrads(list, step, step % 3 === 1 ? 0 : -1);
      o.step();
      o.zeroGrad();
    }
  };
  go(optimizer, params, 0, 5);
  optimizer.setLr(0.02);
  const json = JSON.parse(JSON.stringify(optimizer.json())) as ReturnType<Any['json']>;
  const state = new Map([...optimizer.state()].map(([key, x]) => [key, tensor(x.data(), { shape: x.shape })]));
  const copies = params.map((p) => tensor(p.data(), { shape: p.shape }));
  go(optimizer, params, 5, steps);
  const resumed = build(c, copies);
  resumed.load(json, state);
  go(resumed, copies, 5, steps);
  params.forEach((p, i) => t.strictSame(p.data(), copies[i]?.data(), `${c.key} p${i} bit for bit`));
  const names = [...state.keys()];
  if (names.length > 0) {
    const wrong = new Map(state).set(names[0] as string, tensor([1, 2, 3]));
    t.throws(() => resumed.load(json, wrong), { code: 'ERR_CHECKPOINT', message: /shape/ });
    resumed.clearState([copies[0] as Tensor]);
    const [first, second] = [resumed.state(), optimizer.state()];
    t.ok(
      (first.get(names[0] as string) as Tensor).data().every((x) => x === 0),
      'state cleared',
    );
    const other = names.find((n) => n.startsWith('1.')) as string;
    t.strictSame(first.get(other)?.data(), second.get(other)?.data(), 'the other kept its state');
    t.equal(resumed.json().steps['0'], 0);
  }
  t.throws(() => resumed.load({ ...json, kind: 'lion' }, state), { code: 'ERR_CHECKPOINT', message: /lion/ });
  t.throws(() => resumed.load(json, new Map(state).set('5.x', tensor(1))), { code: 'ERR_CHECKPOINT', message: /5\.x/ });
}

t.test('a resumed optimizer goes on bit for bit', (t) => {
  for (const c of golden.settings.optim.cases) checkResume(t, c);
  t.end();
});

t.test('gradients come from backward, and what the tape saved goes stale', (t) => {
  const p = tensor([1, 2], { requiresGrad: true });
  scope(() => p.sumTo([]).backward());
  const optimizer = new SGD([p], { lr: 0.5, momentum: 0.9 });
  scope(() => p.mul(p).sumTo([]).backward());
  t.strictSame([...(p.grad as Tensor).data()], [3, 5], 'a gradient from before moved into the arena');
  const stale = p.mul(p).sumTo([]);
  optimizer.step();
  t.strictSame([...p.data()], [-0.5, -0.5]);
  t.throws(() => stale.backward(), { code: 'ERR_SAVED_MODIFIED', message: /sgd/ });
  optimizer.dispose();
  t.equal(p.grad, undefined);
  scope(() => p.sumTo([]).backward());
  t.strictSame([...(p.grad as unknown as Tensor).data()], [1, 1], 'usable without the optimizer');
  const first = new SGD([p], { lr: 1 });
  const second = new SGD([p], { lr: 1 });
  t.throws(() => first.step(), { code: 'ERR_ARGUMENT', message: /later optimizer/ });
  second.step();
  t.strictSame([...p.data()], [-1.5, -1.5]);
  t.end();
});

t.test('steps leave nothing behind', (t) => {
  const params = [tensor([1, 2]), tensor([3])];
  const optimizer = new AdamW(params);
  const step = (skip: number): void => {
    params.forEach((p, i) => (p.grad = i === skip ? undefined : tensor(new Float32Array(p.size))));
    optimizer.step();
    clipGradNorm_(params, 1).dispose();
    optimizer.zeroGrad();
  };
  step(0);
  const { tensors, live } = memory.stats();
  for (let i = 0; i < 200; i++) step(i % 3);
  t.equal(memory.stats().tensors, tensors);
  t.equal(memory.stats().live, live);
  t.end();
});

t.test('what is refused', (t) => {
  const p = tensor([1]);
  const refuses = (make: () => unknown, code: string, message: RegExp): void => void t.throws(make, { code, message });
  refuses(() => new SGD([p], { weightdecay: 1 } as never), 'ERR_OPTION', /Did you mean 'weightDecay'/);
  refuses(() => new SGD([{ params: [p], momentom: 0.5 } as never]), 'ERR_OPTION', /Did you mean 'momentum'/);
  refuses(() => new SGD([p], { lr: -1 }), 'ERR_ARGUMENT', /lr is -1/);
  refuses(() => new SGD([p], { lr: NaN }), 'ERR_ARGUMENT', /lr is NaN/);
  refuses(() => new SGD([p], { momentum: 1 }), 'ERR_ARGUMENT', /momentum is 1/);
  refuses(() => new SGD([p], { nesterov: true }), 'ERR_ARGUMENT', /nesterov/);
  refuses(() => new Adam([p], { betas: [0.9, 1] }), 'ERR_ARGUMENT', /betas\[1\]/);
  refuses(() => new AdamW([p], { betas: [0.9] as never }), 'ERR_ARGUMENT', /two numbers/);
  refuses(() => new RMSprop([p], { alpha: 1 }), 'ERR_ARGUMENT', /alpha/);
  refuses(() => new SGD([]), 'ERR_ARGUMENT', /no parameters/);
  refuses(() => new SGD([p, p]), 'ERR_ARGUMENT', /given twice/);
  refuses(() => new SGD([tensor([1], { dtype: 'bf16' }) as never]), 'ERR_DTYPE', /f32/);
  refuses(() => new SGD([p]).setLr(-1), 'ERR_ARGUMENT', /lr is -1/);
  refuses(() => new SGD([p]).setLr(1, 1), 'ERR_ARGUMENT', /no group 1/);
  refuses(() => new SGD([p]).clearState([tensor([2])]), 'ERR_ARGUMENT', /no group/);
  refuses(() => clipGradNorm_([p], 0), 'ERR_ARGUMENT', /maxNorm is 0/);
  refuses(() => clipGrads_([], gradNorm([]), -1), 'ERR_ARGUMENT', /maxNorm/);
  t.end();
});
