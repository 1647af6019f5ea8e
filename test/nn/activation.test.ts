// Layers with an activation in the same pass: the same numbers and gradients as one after the other, and nothing kept
// for a gradient that nobody wants.
import t from 'tap';
import { slots } from '../../lib/core/run.js';
import { autocast } from '../../lib/autograd/autocast.js';
import { type Tensor, conv2d, gelu, linear, manualSeed, noGrad, relu, sum, tensor } from '../../lib/index.js';
import { Conv2d, Linear, Sequential } from '../../lib/nn/index.js';

const some = (shape: readonly number[]): Tensor =>
  tensor(
    Array.from({ length: shape.reduce((x, y) => x * y) }, (_, i) => Math.sin(3 * i + 1)),
    { shape, requiresGrad: true },
  );

function worst(a: Tensor | undefined, b: Tensor | undefined): number {
  const [x = [], y = []] = [a?.data(), b?.data()];
  return x.length === y.length && x.length > 0
    ? Math.max(...[...x].map((v, i) => Math.abs(v - Number(y[i]))))
    : Infinity;
}

/** The names of the ops that run, with the number of tensors each gives. */
function outputsOf(fn: () => void): string[] {
  const seen: string[] = [];
  slots.observe = ({ op, outputs }) => seen.push(`${op.name} ${Object.values(outputs).filter(Boolean).length}`);
  try {
    fn();
  } finally {
    slots.observe = undefined;
  }
  return seen;
}

const after = {
  none: (x: Tensor) => x,
  relu,
  gelu: (x: Tensor) => gelu(x),
  geluTanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
} as const;

t.test('Linear with an activation', (t) => {
  for (const activation of Object.keys(after) as (keyof typeof after)[])
    for (const low of [false, true]) {
      manualSeed(5);
      const layer = new Linear(7, 9, { activation });
      const [weight, bias] = [layer.weight as Tensor, layer.bias as Tensor];
      const run = (forward: (x: Tensor) => Tensor) => {
        const x = some([2, 3, 7]);
        layer.zeroGrad();
        const y = autocast({ enabled: low }, () => forward(x));
        sum(y.mul(y)).backward();
        return [y, x.grad, weight.grad, bias.grad];
      };
      const fused = run((x) => layer.forward(x)).map((y) => y?.clone());
      const apart = run((x) => after[activation](linear(x, weight, bias)));
      const name = `${activation}${low ? ' in bf16' : ''}`;
      fused.forEach((y, i) => t.ok(worst(y, apart[i]) < (low ? 5e-2 : 1e-5), `${name} ${i}: ${worst(y, apart[i])}`));
    }
  t.equal(new Linear(2, 3, { activation: 'gelu', bias: false }).describe(), '2, 3, bias: false, activation: gelu');
  t.throws(() => new Linear(2, 3, { activation: 'gelo' as never }), { code: 'ERR_ARGUMENT', message: /geluTanh/ });
  t.end();
});

t.test('Conv2d with relu', (t) => {
  manualSeed(6);
  const layer = new Conv2d(3, 5, 3, { padding: 1, activation: 'relu' });
  const [weight, bias] = [layer.weight as Tensor, layer.bias as Tensor];
  const run = (forward: (x: Tensor) => Tensor) => {
    const x = some([2, 5, 6, 3]);
    layer.zeroGrad();
    const y = forward(x);
    sum(y.mul(y)).backward();
    return [y, x.grad, weight.grad, bias.grad];
  };
  const fused = run((x) => layer.forward(x)).map((y) => y?.clone());
  const apart = run((x) => relu(conv2d(x, weight, bias, { padding: 1 })));
  fused.forEach((y, i) => t.ok(worst(y, apart[i]) < 1e-5, `${i}: ${worst(y, apart[i])}`));
  t.match(layer.describe(), /activation: relu$/);
  t.throws(() => new Conv2d(2, 3, 1, { activation: 'gelu' as never }), { code: 'ERR_ARGUMENT', message: /relu/ });
  t.end();
});

t.test('the sum before gelu is kept for a gradient, and only for that', (t) => {
  const layer = new Sequential(new Linear(4, 4, { activation: 'gelu' }));
  const x = some([2, 4]);
  t.strictSame(
    outputsOf(() => layer.forward(x)),
    ['linearGelu 2'],
    'training keeps it',
  );
  t.strictSame(
    outputsOf(() => noGrad(() => layer.forward(x))),
    ['linearGelu 1'],
    'noGrad does not',
  );
  for (const p of layer.parameters()) p.requiresGrad = false;
  x.requiresGrad = false;
  t.strictSame(
    outputsOf(() => layer.forward(x)),
    ['linearGelu 1'],
    'nor do frozen layers',
  );
  t.end();
});
