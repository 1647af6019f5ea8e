// Copies of weights in a kernel's own order: the same bits with and without, never a stale one, gone with the weight.
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { native } from '../lib/core/native.js';
import { run } from '../lib/core/run.js';
import type { Tensor } from '../lib/core/tensor.js';
import {
  add_,
  affine_,
  conv2d,
  copy_,
  crossEntropy,
  fill_,
  linear,
  manualSeed,
  matmul,
  memory,
  narrow,
  noGrad,
  pdpSgdStep_,
  randn,
  reshape,
  scope,
  synchronize,
  tensor,
  threshold,
  writeData,
} from '../lib/index.js';
import { conv2dGradInputOp } from '../lib/ops/conv2d.js';
import { matmulOp } from '../lib/ops/matmul.js';

// The kernels that pack need AMX; elsewhere nothing must change, and nothing be counted.
const packs = /\bamx_bf16\b/.test(readFileSync('/proc/cpuinfo', 'utf8')) && native.info().isa === 'avx512';
t.comment(packs ? 'kernels pack' : 'no AMX in use: kernels do not pack');

const low = (shape: number[]): Tensor => randn(shape, { dtype: 'bf16' });
const reorders = (): number => memory.stats().reorders;
const packed = (): number => memory.stats().packed;
const per = (calls: number): number => (packs ? calls : 0);

/** Reorders of a call. */
function counted(call: () => void): number {
  const before = reorders();
  call();
  return reorders() - before;
}

function bits(call: () => Tensor): Uint16Array {
  return scope(() => noGrad(() => call().bits()));
}

const equal = (a: Uint16Array, b: Uint16Array): boolean => Buffer.compare(bytes(a), bytes(b)) === 0;
const bytes = (a: Uint16Array): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** Calls with a weight: its shape, what to do with it, and whether a call without a copy packs the weight. */
const uses: [string, number[], (w: Tensor) => Tensor, boolean][] = (() => {
  manualSeed(3);
  const x = low([1030, 96]);
  const g = low([2, 520, 64]);
  const bias = low([45]);
  const image = low([2, 9, 7, 16]);
  const up = low([2, 5, 4, 48]);
  const attrs = { stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 1, precision: 'high' } as const;
  return [
    ['linear', [45, 96], (w) => linear(x, w, bias), true],
    ['linear, fewer rows than columns', [1100, 96], (w) => linear(x, w), false],
    ['gradient of x', [64, 45], (w) => matmul(g, w), true],
    ['conv2d', [48, 3, 3, 16], (w) => conv2d(image, w, undefined, { padding: 1 }), true],
    [
      'conv2dGradInput',
      [48, 3, 3, 16],
      (w) => run(conv2dGradInputOp, { g: up, weight: w }, { ...attrs, shape: [2, 9, 8, 16] }).dx,
      true,
    ],
  ] as [string, number[], (w: Tensor) => Tensor, boolean][];
})();

for (const [name, shape, use, always] of uses) {
  t.test(`${name}: the same bits with and without a copy`, (t) => {
    const w = low(shape);
    memory.setPacking(false);
    const plain = bits(() => use(w));
    t.equal(
      counted(() => bits(() => use(w))),
      per(always ? 1 : 0),
      'switched off, each call is on its own',
    );
    memory.setPacking(true);
    const start = packed();
    const seen: number[] = [];
    for (let i = 0; i < 4; i++)
      seen.push(
        counted(() => {
          t.ok(
            equal(
              bits(() => use(w)),
              plain,
            ),
            `call ${i + 1}`,
          );
        }),
      );
    t.strictSame(seen, [per(always ? 1 : 0), per(1), 0, 0], 'the second call packs for all that follow');
    t.equal(packed() > start, packs, 'the copy is counted');
    w.dispose();
    t.equal(packed(), start, 'and goes with the weight');
    t.end();
  });
}

const x = low([1030, 96]);
const of = (w: Tensor): Uint16Array => bits(() => linear(x, w));

/** A weight with a copy beside it. */
function warm(w: Tensor): Tensor {
  of(w);
  of(w);
  return w;
}

function fresh(t: Test, w: Tensor, what: string): void {
  const same = tensor(w.data(), { dtype: 'bf16', shape: w.shape });
  for (let i = 0; i < 3; i++) t.ok(equal(of(w), of(same)), `${what}, call ${i + 1}`);
  same.dispose();
}

t.test('a write is never missed', (t) => {
  const writes: [string, (w: Tensor) => void][] = [
    ['copy_', (w) => copy_(w, low(w.shape as number[]))],
    ['fill_', (w) => fill_(w, 0.5)],
    ['add_', (w) => add_(w, low(w.shape as number[]))],
    ['affine_', (w) => affine_(w, 2, 1)],
    ['writeData', (w) => writeData(w, new Float32Array(w.size).fill(0.25))],
    [
      'the result of an op, with into',
      (w) => run(matmulOp, { a: low([45, 32]), b: low([32, 96]) }, { transA: false, transB: false }, { into: w }),
    ],
    [
      'a sum, with into and accumulate',
      (w) =>
        run(
          matmulOp,
          { a: low([45, 32]), b: low([32, 96]) },
          { transA: false, transB: false },
          { into: w, accumulate: true },
        ),
    ],
    ['a view of it', (w) => fill_(reshape(w, [w.size]), 0.75)],
    ['a view of its last row', (w) => fill_(narrow(w, 0, 44, 1), 0.75)],
    [
      'an optimizer step with the mask folded in',
      (w) => {
        const master = randn(w.shape as number[]);
        const { levels, counts } = threshold([master], [100]);
        const grads = [low(w.shape as number[])];
        pdpSgdStep_({ weights: [master], grads, effective: [w], levels, counts }, [], { lr: 0.1, tau: 0.5, k: [100] });
      },
    ],
  ];
  for (const [what, write] of writes) {
    const w = warm(low([45, 96]));
    const before = of(w);
    scope(() => noGrad(() => void write(w)));
    t.notOk(equal(of(w), before), `${what} changes the result`);
    fresh(t, w, what);
    w.dispose();
  }
  t.end();
});

t.test('weights of one storage have a copy each', (t) => {
  const both = low([90, 96]);
  const [a, b] = [narrow(both, 0, 0, 45), narrow(both, 0, 45, 45)];
  const start = packed();
  warm(a);
  warm(b);
  t.notOk(equal(of(a), of(b)));
  fresh(t, a, 'the first');
  fresh(t, b, 'the second');
  fill_(b, 0.5);
  t.equal(
    counted(() => of(a)),
    0,
    'a write to one leaves the other its copy',
  );
  fresh(t, b, 'the one that was written');
  fill_(both, 0.25);
  fresh(t, a, 'written through the whole, the first');
  fresh(t, b, 'written through the whole, the second');
  warm(both);
  fill_(a, 1);
  fresh(t, both, 'the whole, written through a part');
  for (const w of [a, b, both]) w.dispose();
  t.equal(packed(), start);
  t.end();
});

t.test('a matrix seen in two shapes', (t) => {
  const w = warm(low([45, 96]));
  const square = reshape(w, [135, 32]);
  const short = low([1030, 32]);
  const sum = (v: Tensor): Uint16Array => bits(() => linear(short, v));
  const same = tensor(square.data(), { dtype: 'bf16', shape: square.shape });
  for (let i = 0; i < 3; i++) t.ok(equal(sum(square), sum(same)));
  fresh(t, w, 'the first shape');
  for (const v of [w, square, short, same]) v.dispose();
  t.end();
});

t.test('a call that was passed over has packed nothing', (t) => {
  const w = low([45, 96]);
  const wrong = tensor(Int32Array.of(0, 7));
  const scores = randn([2, 3]);
  const expected = of(w);
  crossEntropy(scores, wrong);
  linear(x, w); // would pack
  t.throws(() => {
    synchronize();
  }, /crossEntropy/);
  for (let i = 0; i < 3; i++) t.ok(equal(of(w), expected), `call ${i + 1} after the error`);
  for (const v of [w, wrong, scores]) v.dispose();
  t.end();
});

t.test('no copy where the limit leaves no room', (t) => {
  const w = low([4096, 256]);
  const wide = low([150, 256]);
  const call = (): Uint16Array => bits(() => linear(wide, w));
  const expected = call();
  synchronize();
  memory.emptyCache();
  const { limit, live, packed: before } = memory.stats();
  // Room for the result (1.2 MiB), not for the copy (2 MiB) as well.
  memory.setLimit(live + 5 * 2 ** 19);
  for (let i = 0; i < 3; i++) t.ok(equal(call(), expected));
  t.equal(memory.stats().packed, before);
  memory.setLimit(limit);
  t.ok(equal(call(), expected));
  t.equal(memory.stats().packed > before, packs);
  w.dispose();
  wide.dispose();
  t.end();
});

t.test('2,000 steps: memory stays where it was, two copies of every four uses are spared', (t) => {
  const w = low([45, 96]);
  const bias = low([96]);
  const step = (): void =>
    scope(() =>
      noGrad(() => {
        for (let micro = 0; micro < 4; micro++) linear(x, w);
        add_(w, bias);
      }),
    );
  step();
  step();
  synchronize();
  const before = memory.stats();
  for (let i = 0; i < 2000; i++) step();
  synchronize();
  const after = memory.stats();
  t.equal(after.live, before.live);
  t.equal(after.packed, before.packed);
  t.equal(after.tensors, before.tensors);
  t.equal(after.live + after.cached, before.live + before.cached);
  t.equal(after.reorders - before.reorders, per(2 * 2000));
  w.dispose();
  bias.dispose();
  t.end();
});
