import { inspect } from 'node:util';
import t from 'tap';
import { type Tensor, backward, gelu, manualSeed, memory, ones, scope, sum, tensor } from '../../lib/index.js';
import {
  BatchNorm2d,
  Buffer,
  Conv2d,
  CrossEntropyLoss,
  Dropout,
  Embedding,
  Flatten,
  GELU,
  LayerNorm,
  Linear,
  MSELoss,
  Module,
  Parameter,
  ReLU,
  Sequential,
  init,
} from '../../lib/nn/index.js';
import { SGD } from '../../lib/optim/index.js';
import { resnet18, resnet20, resnet50 } from '../../src/models/index.js';

const values = (t: Tensor): number[] => [...t.data()];

t.test('state-dict keys are PyTorch’s', (t) => {
  const keys = [...resnet18({ baseWidth: 4, numClasses: 10 }).stateDict().keys()];
  t.ok(
    [
      'conv1.weight',
      'bn1.running_mean',
      'layer2.0.downsample.0.weight',
      'layer2.0.downsample.1.running_var',
      'fc.bias',
    ].every((k) => keys.includes(k)),
    keys.join(' '),
  );
  t.equal(keys.length, 62 + 40);
  t.equal(resnet50({ baseWidth: 2 }).parameters().length, 161);
  t.equal(
    resnet20()
      .parameters()
      .reduce((n, p) => n + p.size, 0),
    269_722,
  );
  t.end();
});

t.test('Sequential takes modules, and says so', (t) => {
  const list = [new Linear(3, 2), new ReLU()] as unknown as Linear;
  t.throws(() => new Sequential(list), { code: 'ERR_ARGUMENT', message: /layer 0 is not a module. Give the modules/ });
  t.end();
});

t.test('loadStateDict is strict, and changes nothing when it refuses', (t) => {
  manualSeed(1);
  const model = new Sequential(new Linear(3, 2), new ReLU(), new Linear(2, 1));
  const before = values(model.parameters()[0] as Tensor);
  const state = new Map<string, Tensor>([...model.stateDict()].map(([k, v]) => [k, ones(v.shape)]));
  state.delete('2.bias');
  state.set('2.bais', ones([1]));
  state.set('0.weight', ones([3, 2]));
  t.throws(() => model.loadStateDict(state), {
    code: 'ERR_STATE_DICT',
    message:
      /missing: 2\.bias.*unexpected: 2\.bais.*mismatched: 0\.weight is \[3, 2\], needs \[2, 3\].*Did you mean '2\.bias'/,
  });
  t.strictSame(values(model.parameters()[0] as Tensor), before);
  const report = model.loadStateDict(state, { strict: false });
  t.strictSame([report.missing, report.unexpected], [['2.bias'], ['2.bais']]);
  t.strictSame(values(model.stateDict().get('2.weight') as Tensor), [1, 1]);
  t.throws(() => model.loadStateDict(state, { stirct: false } as never), { code: 'ERR_OPTION', message: /strict/ });
  t.end();
});

t.test('modules print as a tree with their parameter counts', (t) => {
  const text = inspect(
    new Sequential(
      new Conv2d(1, 4, 3, { padding: 1, bias: false }),
      new BatchNorm2d(4),
      new Flatten(),
      new Linear(16, 2),
    ),
  );
  t.match(text, /Sequential\(\)  78 parameters/);
  t.match(text, /\(0\) Conv2d\(1, 4, 3x3, stride: 1, padding: 1, bias: false\)  36 parameters/);
  t.match(text, /\(3\) Linear\(16, 2\)  34 parameters/);
  t.end();
});

t.test('train and eval reach every layer', (t) => {
  const drop = new Dropout(0.5);
  const model = new Sequential(new Sequential(drop), new BatchNorm2d(2));
  model.eval();
  const x = ones([4, 1, 1, 2]);
  t.strictSame(values(drop.forward(x)), values(x));
  model.train();
  manualSeed(4);
  t.ok(values(drop.forward(ones([1000]))).some((v) => v === 0));
  t.throws(() => new Dropout(1), { code: 'ERR_ARGUMENT' });
  t.end();
});

t.test('batch norm keeps running statistics in PyTorch’s convention', (t) => {
  const bn = new BatchNorm2d(1, { momentum: 0.1 });
  bn.forward(tensor([1, 2, 3, 6], { shape: [4, 1, 1, 1] }));
  t.ok(Math.abs(bn.runningMean.item() - 0.3) < 1e-6);
  t.ok(Math.abs(bn.runningVar.item() - (0.9 + 0.1 * (14 / 3))) < 1e-5, 'unbiased');
  t.strictSame(bn.ignoredKeys(), ['num_batches_tracked']);
  t.end();
});

t.test('Flatten orders images as PyTorch does', (t) => {
  const x = tensor([1, 2, 3, 4, 5, 6, 7, 8], { shape: [1, 2, 2, 2] });
  t.strictSame(values(new Flatten().forward(x)), [1, 3, 5, 7, 2, 4, 6, 8]);
  t.end();
});

t.test('default initial values have PyTorch’s spread', (t) => {
  manualSeed(0);
  const { weight, bias } = new Linear(400, 100);
  const bound = 1 / Math.sqrt(400);
  for (const p of [weight, bias as Tensor]) {
    const v = values(p);
    t.ok(v.every((x) => Math.abs(x) <= bound));
    t.ok(Math.max(...v.map(Math.abs)) > 0.9 * bound);
  }
  const he = values(init.kaimingNormal([64, 3, 3, 32], 'fanOut'));
  const std = Math.sqrt(he.reduce((s, x) => s + x * x, 0) / he.length);
  t.ok(Math.abs(std / Math.sqrt(2 / (64 * 9)) - 1) < 0.03);
  t.ok(values(init.xavierUniform([10, 10])).every((x) => Math.abs(x) <= Math.sqrt(6 / 20)));
  t.throws(() => init.fans([3]), { code: 'ERR_SHAPE_MISMATCH' });
  t.end();
});

t.test('layers and losses compute what their ops do', (t) => {
  const x = tensor([[-1, 0.5, 2]]);
  t.strictSame(values(new GELU({ approximate: 'tanh' }).forward(x)), values(gelu(x, { approximate: 'tanh' })));
  const norm = values(new LayerNorm(3).forward(x));
  t.ok(Math.abs(norm.reduce((a, b) => a + b, 0)) < 1e-5);
  const table = new Embedding(5, 2);
  t.strictSame(values(table.forward(tensor([3], { dtype: 'i32' }))), values(table.weight).slice(6, 8));
  t.ok(
    Math.abs(new CrossEntropyLoss().forward(tensor([[0, 0]]), tensor([1], { dtype: 'i32' })).item() - Math.log(2)) <
      1e-6,
  );
  t.equal(new MSELoss().forward(tensor([1, 3]), tensor([0, 1])).item(), 2.5);
  t.end();
});

t.test('a tied parameter comes once and gets both gradients', (t) => {
  class Tied extends Module {
    readonly embed = new Embedding(3, 2);
    readonly decoder = { weight: this.embed.weight };
    override forward(ids: Tensor): Tensor {
      return this.embed.forward(ids).matmul(this.decoder.weight, { transB: true });
    }
  }
  const model = new Tied();
  t.equal(model.parameters().length, 1);
  backward(sum(model.forward(tensor([0], { dtype: 'i32' }))));
  const g = values((model.parameters()[0] as Tensor).grad as Tensor);
  const w = values(model.embed.weight);
  const total = [0, 1].map((c) => [0, 1, 2].reduce((s, r) => s + (w[r * 2 + c] as number), 0));
  t.ok(Math.abs((g[0] as number) - (total[0] as number) - (w[0] as number)) < 1e-5);
  t.end();
});

t.test('wrong models and dtypes are refused', (t) => {
  t.throws(() => new Conv2d(3, 4, 3, { groups: 2 }), { code: 'ERR_ARGUMENT', message: /3 and 4 channels.*2 groups/ });
  t.throws(() => new Conv2d(3, 4, 3, { strid: 2 } as never), { code: 'ERR_OPTION', message: /Did you mean 'stride'/ });
  t.throws(() => resnet18({ stem: 'tiny' as never }), { code: 'ERR_ARGUMENT', message: /imagenet/ });
  t.throws(() => resnet18({ baseWidth: 0 }), { code: 'ERR_ARGUMENT' });
  t.throws(() => new Parameter(tensor([1], { dtype: 'i32' })), { code: 'ERR_DTYPE' });
  t.throws(() => new Linear(3, 2).forward(ones([1, 4])), { code: 'ERR_SHAPE_MISMATCH', message: /4 and 3/ });
  t.end();
});

t.test('a disposed model gives its memory back', (t) => {
  const before = memory.stats().live;
  const model = scope(() => resnet20({ baseWidth: 4 }));
  t.ok(memory.stats().live > before, 'parameters outlive the scope they were made in');
  model.dispose();
  t.equal(memory.stats().live, before);
  t.ok(new Buffer(ones([1])).dtype === 'f32');
  t.end();
});

t.test('a module moves to another device, its gradients too, unless an optimizer holds it', (t) => {
  manualSeed(5);
  const model = new Sequential(new Linear(3, 4), new ReLU(), new Linear(4, 2));
  const x = tensor([
    [1, -2, 3],
    [0.5, 0.25, -1],
  ]);
  backward(sum(model.forward(x)));
  const [first] = model.parameters() as [Parameter];
  const before = { weight: values(first), grad: values(first.grad as Tensor), y: values(model.forward(x)) };
  t.equal(model.to('ref'), model);
  t.strictSame([first.device, first.grad?.device], ['ref', 'ref']);
  t.strictSame(values(first), before.weight);
  t.strictSame(values(first.grad as Tensor), before.grad);
  const y = values(model.forward(x.to('ref')));
  t.ok(y.every((v, i) => Math.abs(v - (before.y[i] as number)) < 1e-5));
  t.throws(() => model.to('tpu' as 'ref'), { code: 'ERR_DEVICE' });
  const optimizer = new SGD(model.parameters(), { lr: 0.1 });
  t.throws(() => model.to('cpu'), { code: 'ERR_ARGUMENT', message: /before making the optimizer/ });
  optimizer.dispose();
  model.to('cpu');
  t.equal(first.device, 'cpu');
  t.end();
});
