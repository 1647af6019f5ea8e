// The contract between trainer and pruning method: one small method for every hook, each of which would fail the test
// if the trainer forgot to call it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type Tensor, manualSeed, mseLoss, ones, randn, scope, tensor, zeros } from '../../lib/index.js';
import { BatchNorm2d, Conv2d, Linear, Module, ReLU, Sequential } from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import {
  type Batch,
  type Clock,
  type Context,
  type Phase,
  type Pruner,
  type Site,
  type State,
  Trainer,
} from '../../lib/train/index.js';

const noState = (): State => ({ tensors: new Map(), json: {} });

function network(): Sequential {
  manualSeed(3);
  return new Sequential(new Linear(4, 6), new ReLU(), new Linear(6, 2));
}

// The same four batches in every epoch.
const data = {
  length: 4,
  *epoch(_epoch: number, start = 0): Generator<Batch> {
    for (let i = start; i < 4; i++) {
      const x = Float32Array.from({ length: 12 }, (_, j) => Math.sin(i * 12 + j));
      yield {
        input: tensor(x, { shape: [3, 4] }),
        target: tensor(
          Float32Array.from({ length: 6 }, (_, j) => Math.cos(i + j)),
          { shape: [3, 2] },
        ),
      };
    }
  },
};

interface Run {
  model: Module;
  trainer: Trainer;
  losses: number[];
}

function prepare(
  pruner: Pruner | undefined,
  steps: number,
  extra: {
    model?: Module;
    teacher?: Module;
    checkpoint?: string;
    signal?: AbortSignal;
    momentum?: number;
    schedule?: (s: number) => number;
  } = {},
): Run {
  const model = extra.model ?? network();
  const losses: number[] = [];
  const trainer = new Trainer({
    model,
    optimizer: new SGD(model.parameters(), { lr: 0.1, momentum: extra.momentum ?? 0.9 }),
    loss: (y, target) => mseLoss(y, target),
    data,
    steps,
    onStep: (r) => losses.push(r.loss),
    ...(pruner === undefined ? {} : { pruner }),
    ...(extra.teacher === undefined ? {} : { teacher: extra.teacher }),
    ...(extra.checkpoint === undefined ? {} : { checkpoint: extra.checkpoint }),
    ...(extra.signal === undefined ? {} : { signal: extra.signal }),
    ...(extra.schedule === undefined ? {} : { schedule: extra.schedule }),
  });
  return { model, trainer, losses };
}

const values = (t: Tensor): number[] => [...t.data()];
const weightOf = (model: Module): Tensor => model.parameters()[0] as Tensor;

t.test('a method without hooks changes nothing', async (t) => {
  const plain = prepare(undefined, 6);
  await plain.trainer.run();
  const idle = prepare({ name: 'idle', state: noState() }, 6);
  await idle.trainer.run();
  t.strictSame(idle.losses, plain.losses);
  t.strictSame(values(weightOf(idle.model)), values(weightOf(plain.model)));
});

t.test('weight: layers compute with it, gradients pass through it, once a step', async (t) => {
  let calls = 0;
  const halved: Pruner = {
    name: 'halved',
    state: noState(),
    weight: (_site, w) => {
      calls++;
      return w.mul(0.5);
    },
  };
  const { model, trainer } = prepare(halved, 1, { momentum: 0 });
  const before = values(weightOf(model));
  await trainer.run();
  t.equal(calls, 2, 'two sites, one step');
  t.notSame(values(weightOf(model)), before);
  const x = ones([1, 4]);
  const soft = values(model.forward(x));
  trainer.finish();
  t.notSame(values(model.forward(x)), soft, 'finish unbinds');
});

t.test('a shared weight is transformed once', async (t) => {
  let calls = 0;
  class Tied extends Module {
    readonly a = new Linear(4, 4);
    readonly b = this.a;
    override forward(x: Tensor): Tensor {
      return this.b.forward(this.a.forward(x)).narrow(1, 0, 2);
    }
  }
  manualSeed(1);
  const { trainer } = prepare({ name: 'count', state: noState(), weight: (_s, w) => (calls++, w.mul(1)) }, 1, {
    model: new Tied(),
  });
  await trainer.run();
  t.equal(calls, 1);
});

t.test('params: a learned tensor joins the optimizer with its own rate', async (t) => {
  const scale = tensor([1], { requiresGrad: true });
  const learned: Pruner = {
    name: 'learned',
    state: noState(),
    params: () => [{ name: 'scale', tensor: scale, lr: 0.01, weightDecay: 0 }],
    weight: (_site, w) => w.mul(scale),
  };
  await prepare(learned, 3).trainer.run();
  t.not(scale.item(), 1);
  const frozen = tensor([1], { requiresGrad: true });
  await prepare(
    { ...learned, params: () => [{ name: 'scale', tensor: frozen, lr: 0 }], weight: (_site, w) => w.mul(frozen) },
    3,
  ).trainer.run();
  t.equal(frozen.item(), 1, 'its own learning rate of 0 holds');
});

t.test('phases, events and the clock come in order', async (t) => {
  const seen: string[] = [];
  const method: Pruner = {
    name: 'phases',
    state: noState(),
    phases: (): Phase[] => [
      { name: 'first', train: { until: (c: Clock) => c.step >= 2 } },
      {
        name: 'think',
        async *solve(context: Context) {
          for await (const batch of context.batches()) {
            seen.push(`solve ${context.clock.step} ${batch.input.shape.join('x')}`);
            yield { done: 1, total: 1 };
            break;
          }
        },
      },
      { name: 'second', train: { until: (c: Clock) => c.phaseStep >= 3 }, trainable: (name) => name.startsWith('2') },
    ],
    on: (event, { clock }) => void seen.push(`${event} ${clock.phase} ${clock.step}`),
  };
  const { model, trainer } = prepare(method, 100);
  const first = values(weightOf(model));
  const result = await trainer.run();
  t.equal(result.step, 5, 'training ends with the last phase');
  t.strictSame(seen.slice(0, 6), [
    'phase first 0',
    'epoch first 0',
    'step first 0',
    'stepped first 0',
    'step first 1',
    'stepped first 1',
  ]);
  t.strictSame(seen.slice(6, 10), ['phase think 2', 'solve 2 3x4', 'phase second 2', 'step second 2']);
  t.ok(seen.includes('epoch second 4'));
  const { model: model2, trainer: trainer2 } = prepare(
    {
      ...method,
      phases: () => [{ name: 'only', train: { until: () => false }, trainable: (name) => name.startsWith('2') }],
    },
    2,
  );
  await trainer2.run();
  t.strictSame(values(weightOf(model2)), first, 'what is not trainable stays');
});

t.test('loss: a penalty and a teacher', async (t) => {
  const plain = prepare(undefined, 2);
  await plain.trainer.run();
  let taught: Tensor | undefined;
  const penalty: Pruner = {
    name: 'penalty',
    state: noState(),
    loss: ({ output, teacher }) => {
      taught = teacher;
      return mseLoss(output, teacher as Tensor);
    },
  };
  const run = prepare(penalty, 2, { teacher: network() });
  await run.trainer.run();
  t.ok(taught !== undefined && !taught.requiresGrad);
  t.ok((run.losses[1] as number) !== (plain.losses[1] as number));
});

t.test('project: zeros stay zero, in the momentum too', async (t) => {
  const masks = new Map<Site, Tensor>();
  const project = (slots: boolean): Pruner => ({
    name: 'project',
    state: noState(),
    project: (site) => {
      let mask = masks.get(site);
      if (mask === undefined)
        masks.set(
          site,
          (mask = tensor(
            Float32Array.from({ length: site.weight.size }, (_, i) => i % 2),
            { shape: site.weight.shape },
          )),
        );
      return { mask, slots };
    },
    on: (event, { sites }, opt) => {
      if (event !== 'stepped') return;
      const momentum = opt.of((sites[0] as Site).weight)[0] as Tensor;
      live = values(momentum).filter((v) => v !== 0).length;
    },
  });
  let live = 0;
  const { model, trainer } = prepare(project(true), 3);
  await trainer.run();
  const w = values(weightOf(model));
  t.ok(w.every((v, i) => (i % 2 === 0 ? v === 0 : v !== 0)));
  t.ok(live <= w.length / 2 + w.length / 2);
});

t.test('rate: the method sets the learning rate', async (t) => {
  const { model, trainer } = prepare(
    { name: 'rate', state: noState(), rate: (_clock, _group, base) => base(0) * 0 },
    3,
    { schedule: () => 0.5 },
  );
  const before = values(weightOf(model));
  await trainer.run();
  t.strictSame(values(weightOf(model)), before);
});

t.test('gate: channels after the norm', async (t) => {
  manualSeed(5);
  const make = (): Sequential => new Sequential(new Conv2d(1, 3, 3, { padding: 1, bias: false }), new BatchNorm2d(3));
  const half = tensor([1, 0.5, 0]);
  for (const place of ['norm', 'activation'] as const) {
    const model = make();
    const x = scope(() => randn([2, 5, 5, 1]));
    const open = values(model.forward(x));
    const images = {
      length: 1,
      *epoch(): Generator<Batch> {
        yield { input: x.mul(1), target: zeros([2, 5, 5, 3]) };
      },
    };
    const trainer = new Trainer({
      model,
      optimizer: new SGD(model.parameters(), { lr: 0 }),
      loss: (y, z) => mseLoss(y, z),
      data: images,
      steps: 1,
      pruner: { name: 'gate', state: noState(), gate: () => ({ values: half, place }) },
    });
    await trainer.run();
    const gated = values(model.forward(x));
    t.ok(
      open.every((v, i) => Math.abs((gated[i] as number) - v * ([1, 0.5, 0][i % 3] as number)) < 1e-6),
      place,
    );
    trainer.finish();
    t.strictSame(values(model.forward(x)), open, 'finish opens the gates');
  }
});

t.test('finish: the final weights, in a plain model', async (t) => {
  const { model, trainer } = prepare(
    { name: 'finish', state: noState(), weight: (_s, w) => w.mul(2), finish: (site) => site.weight.mul(0) },
    1,
  );
  await trainer.run();
  trainer.finish();
  t.ok(values(weightOf(model)).every((v) => v === 0));
  t.equal((model.parameters()[0] as { transform?: unknown }).transform, undefined);
  t.strictSame([...model.stateDict().keys()], [...network().stateDict().keys()]);
});

t.test('run: capture and replace leave no trace', async (t) => {
  let context: Context | undefined;
  const { model, trainer } = prepare({ name: 'look', state: noState(), on: (_e, c) => void (context = c) }, 1);
  await trainer.run();
  const c = context as Context;
  const x = ones([1, 4]);
  const plain = values(c.run(x).output);
  const name = (c.sites[1] as Site).name;
  const { output, captured } = c.run(x, { capture: ['0'], replace: new Map([[name, zeros([2, 6])]]) });
  t.strictSame((captured.get('0') as Tensor).shape, [1, 6]);
  t.notSame(values(output), plain);
  t.strictSame(values(c.run(x).output), plain);
  t.equal(model.training, true);
  t.throws(() => c.run(x, { capture: ['nowhere'] }), { code: 'ERR_ARGUMENT' });
});

t.test('state survives a checkpoint, and a resumed run equals an uninterrupted one', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'secateur-'));
  const make = (): Pruner & { seen: number[] } => {
    const total = zeros([1]);
    const seen: number[] = [];
    return {
      name: 'memory',
      state: { tensors: new Map([['total', total]]), json: { steps: 0 } },
      seen,
      on(event) {
        if (event !== 'stepped') return;
        total.add_(tensor([1]));
        this.state.json['steps'] = (this.state.json['steps'] as number) + 1;
        seen.push(total.item());
      },
      weight: (_s, w) => w.mul(total.add(1)),
    };
  };
  const whole = prepare(make(), 8);
  await whole.trainer.run();

  const path = join(dir, 'half.safetensors');
  const abort = new AbortController();
  const half = prepare(make(), 8, { checkpoint: path, signal: abort.signal });
  const stop = half.losses.push.bind(half.losses);
  half.losses.push = (...x) => {
    if (half.losses.length === 4) abort.abort();
    return stop(...x);
  };
  t.strictSame(await half.trainer.run(), { stopped: 'aborted', step: 5 });

  const pruner = make();
  const rest = prepare(pruner, 8);
  t.strictSame(rest.trainer.resume(path), []);
  await rest.trainer.run();
  t.strictSame([...half.losses, ...rest.losses], whole.losses);
  t.strictSame(values(weightOf(rest.model)), values(weightOf(whole.model)), 'bit for bit');
  t.strictSame(pruner.state.json, { steps: 8 });
  t.strictSame(pruner.seen, [6, 7, 8]);

  t.throws(() => prepare(undefined, 8).trainer.resume(path), { code: 'ERR_CHECKPOINT', message: /method 'memory'/ });
  rmSync(dir, { recursive: true });
});

t.test('binding twice is refused', (t) => {
  const model = network();
  const method = (): Pruner => ({ name: 'one', state: noState(), weight: (_s, w) => w });
  prepare(method(), 1, { model });
  t.throws(() => prepare(method(), 1, { model }), { code: 'ERR_ARGUMENT', message: /bound/ });
  t.end();
});
