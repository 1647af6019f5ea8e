// The bf16 copies of parameters that autocast keeps: one for each version, never a stale one, gone with the parameter.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { native } from '../lib/core/native.js';
import { slots } from '../lib/core/run.js';
import type { Tensor } from '../lib/core/tensor.js';
import {
  add_,
  autocast,
  backward,
  copy_,
  fill_,
  manualSeed,
  memory,
  noGrad,
  randn,
  reshape,
  scope,
  synchronize,
  writeData,
} from '../lib/index.js';
import { Linear, type Parameter } from '../lib/nn/index.js';
import { SGD } from '../lib/optim/index.js';

// The kernels that pack need AMX.
const packs = /\bamx_bf16\b/.test(readFileSync('/proc/cpuinfo', 'utf8')) && native.info().isa === 'avx512';
const per = (calls: number): number => (packs ? calls : 0);
const reorders = (): number => memory.stats().reorders;

/** Casts and reorders of a call. */
function work(call: () => void): { casts: number; reorders: number } {
  let casts = 0;
  const before = reorders();
  slots.observe = ({ op }) => {
    if (op.name === 'cast') casts++;
  };
  try {
    call();
  } finally {
    slots.observe = undefined;
  }
  return { casts, reorders: reorders() - before };
}

const input = randn([1030, 96]);
const forward = (layer: Linear): Float32Array =>
  scope(() => noGrad(() => autocast({}, () => layer.forward(input)).data() as Float32Array));
function withoutCopies<T>(call: () => T): T {
  memory.setPacking(false);
  try {
    return call();
  } finally {
    memory.setPacking(true);
  }
}

t.test('autocast casts a parameter once for each version', (t) => {
  const layer = new Linear(96, 45);
  t.strictSame(
    withoutCopies(() => work(() => forward(layer))),
    { casts: 3, reorders: per(1) },
    'without copies: x, weight, bias',
  );
  const seen = Array.from({ length: 4 }, () => work(() => forward(layer)));
  t.strictSame(
    seen,
    [
      { casts: 3, reorders: per(1) },
      { casts: 1, reorders: per(1) },
      { casts: 1, reorders: 0 },
      { casts: 1, reorders: 0 },
    ],
    'with copies: x alone, once they are there',
  );
  for (const p of layer.parameters()) p.dispose();
  t.end();
});

t.test('no way to write to a parameter leaves its copy behind', (t) => {
  const layer = new Linear(96, 45);
  const other = new Linear(96, 45);
  const { weight } = layer;
  let optimizer: SGD | undefined;
  const train = (): void => {
    scope(() => {
      backward(
        autocast({}, () => layer.forward(input))
          .cast('f32')
          .sum(),
      );
    });
  };
  const inPlace = (write: () => unknown) => (): void => {
    scope(() => noGrad(() => void write()));
  };
  const step = (): void => {
    train();
    optimizer?.step();
  };
  const writes: [string, () => void][] = [
    ['copy_', inPlace(() => copy_(weight, other.weight))],
    ['add_', inPlace(() => add_(weight, 0.25))],
    ['fill_', inPlace(() => fill_(weight, 0.25))],
    [
      'writeData',
      inPlace(() => {
        writeData(weight, other.weight.data());
      }),
    ],
    ['loadStateDict', inPlace(() => layer.loadStateDict(new Linear(96, 45).stateDict()))],
    ['moving into an arena', (): void => void (optimizer = new SGD(layer.parameters(), { lr: 0.5, momentum: 0.9 }))],
    ['an optimizer step', step],
    ['the next step', step],
    ['fill_ of a view of it', inPlace(() => fill_(reshape(weight, [weight.size]), 0.125))],
    ['loadStateDict in the arena', inPlace(() => layer.loadStateDict(other.stateDict()))],
  ];
  const equalFloats = (a: Float32Array, b: Float32Array): boolean => a.every((v, i) => Object.is(v, b[i]));
  for (const [what, write] of writes) {
    forward(layer);
    const before = forward(layer);
    write();
    const after = forward(layer);
    t.ok(
      equalFloats(
        after,
        withoutCopies(() => forward(layer)),
      ),
      what,
    );
    t.equal(equalFloats(before, after), what === 'moving into an arena', `${what}: whether the result changes`);
  }
  t.end();
});

t.test('gradients are the same bits with and without copies', (t) => {
  manualSeed(5);
  const layer = new Linear(96, 45);
  const second = randn([1030, 96], { requiresGrad: true });
  const grads = (): Float32Array[] => {
    const leaves = [layer.weight, layer.bias as Parameter, second];
    scope(() => {
      const y = autocast({}, () => layer.forward(input).add(layer.forward(second)));
      // What a forward pass saw is what its backward pass uses, whatever is written meanwhile.
      noGrad(() => void add_(layer.weight, 1));
      backward(y.cast('f32').mul(y.cast('f32')).sum());
      noGrad(() => void add_(layer.weight, -1));
    });
    return leaves.map((leaf) => {
      const g = (leaf.grad as Tensor).data() as Float32Array;
      leaf.grad?.dispose();
      leaf.grad = undefined;
      return g;
    });
  };
  // Adding 1 and taking it away rounds: the second round is where it has settled.
  grads();
  const expected = withoutCopies(grads);
  for (let i = 0; i < 3; i++) t.strictSame(grads(), expected);
  t.end();
});

t.test('copies of a parameter go with it', (t) => {
  synchronize();
  const before = memory.stats();
  for (let i = 0; i < 500; i++) {
    const layer = new Linear(96, 45);
    forward(layer);
    forward(layer);
    if (i % 2 === 0) scope(() => noGrad(() => add_(layer.weight, 1)));
    forward(layer);
    for (const p of layer.parameters()) p.dispose();
  }
  synchronize();
  const after = memory.stats();
  t.equal(after.live, before.live);
  t.equal(after.tensors, before.tensors);
  t.equal(after.packed, before.packed);
  t.end();
});
