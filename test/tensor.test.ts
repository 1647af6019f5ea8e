import { inspect } from 'node:util';
import t from 'tap';
import {
  SecateurError,
  type Tensor,
  allFinite,
  arange,
  dropout,
  full,
  isFinite,
  keep,
  manualSeed,
  memory,
  noGrad,
  oneHot,
  ones,
  rand,
  randn,
  scope,
  setRandomState,
  randomState,
  synchronize,
  tensor,
  where,
  writeData,
  zeros,
} from '../lib/index.js';
import { uniformAt } from '../lib/core/random.js';

/** The code and the message of what `f` throws. */
function refusal(f: () => unknown): string {
  try {
    f();
  } catch (error) {
    return error instanceof SecateurError ? `${error.code} ${error.message}` : String(error);
  }
  return 'nothing was thrown';
}
const list = (x: Tensor): number[] => [...x.data()];
/** Differs from `want` by at most a rounding of f32. */
const near = (x: number, want: number): boolean => Math.abs(x - want) <= 1e-6 * Math.max(1, Math.abs(want));

t.test('methods chain, keep their dtype and take numbers', (t) =>
  scope(() => {
    const x = tensor([
      [1, -2],
      [3, 4],
    ]);
    t.strictSame(list(x.mul(2).add(1).sub(3).div(2)), [0, -3, 2, 3]);
    t.strictSame(list(x.maximum(0).pow(2)), [1, 0, 9, 16]);
    t.strictSame(list(x.gt(0)), [1, 0, 1, 1]);
    t.equal(x.gt(0).dtype, 'u8');
    t.strictSame(list(where(x.lt(0), x, 0)), [0, -2, 0, 0]);
    t.strictSame(list(where(x.lt(0), 1, 2)), [2, 1, 2, 2]);
    t.strictSame(list(x.clamp({ min: 0, max: 3 })), [1, 0, 3, 3]);
    t.strictSame(list(x.addScaled(x, -0.5)), [0.5, -1, 1.5, 2]);
    t.strictSame(list(x.div(0)), [Infinity, -Infinity, Infinity, Infinity]);
    const whole: Int32Array = x.cast('i32').data();
    t.strictSame([...whole], [1, -2, 3, 4]);
    const i = tensor([7, -7], { dtype: 'i32' });
    t.strictSame(list(i.add(2147483647)), [-2147483642, 2147483640], 'i32 wraps around');
    t.strictSame(list(i.mul(2).maximum(0)), [14, 0]);
    t.equal(tensor([1], { dtype: 'bf16' }).mul(0.5).dtype, 'bf16');
    t.equal(x.cast('f32'), x, 'a cast to the same dtype is the tensor itself');
    t.end();
  }),
);

t.test('in place: the same tensor, the new values', (t) =>
  scope(() => {
    const x = tensor([1, 2, 3]);
    t.equal(
      x
        .add_(1)
        .sub_(tensor([1]))
        .mul_(4)
        .div_(2),
      x,
    );
    t.strictSame(list(x), [2, 4, 6]);
    t.equal(x.fill_(5), x);
    t.strictSame(list(x), [5, 5, 5]);
    const copy = x.clone();
    x.copy_(tensor(7));
    t.strictSame(
      [list(x), list(copy)],
      [
        [7, 7, 7],
        [5, 5, 5],
      ],
    );
    t.match(
      refusal(() => x.add_(tensor([[1], [2]]))),
      /ERR_SHAPE_MISMATCH add: 'into'/,
    );
    const leaf = tensor([1, 2], { requiresGrad: true });
    for (const write of [() => leaf.fill_(0), () => leaf.copy_(x.cast('f32')), () => leaf.mul_(2)])
      t.match(refusal(write), /ERR_ARGUMENT|ERR_SHAPE_MISMATCH/);
    noGrad(() => leaf.fill_(3));
    t.strictSame(list(leaf), [3, 3]);
    const y = leaf.mul(2).fill_(1);
    y.mul(5).sumTo([]).backward();
    t.strictSame(list(leaf.grad as Tensor), [0, 0], 'what was filled over gets a zero gradient');
    t.end();
  }),
);

t.test('inspect shows dtype, shape, device and values', (t) =>
  scope(() => {
    t.equal(
      inspect(
        tensor([
          [1, 2.5],
          [NaN, -0.1],
        ]),
      ),
      'Tensor<f32> [2, 2] cpu [[1, 2.5], [NaN, -0.1]]',
    );
    t.equal(inspect(tensor(3, { dtype: 'i32', device: 'ref' })), 'Tensor<i32> [] ref 3');
    t.match(inspect(zeros([2], { requiresGrad: true })), 'requiresGrad');
    t.equal(inspect(zeros([100, 100])), 'Tensor<f32> [100, 100] cpu (10,000 elements)');
    t.match(inspect(zeros([1000])), /0, \.\.\.\]$/);
    const gone = ones([3]);
    gone.dispose();
    t.equal(inspect(gone), 'Tensor<f32> [3] cpu (disposed)');
    t.end();
  }),
);

t.test('scope, keep and dispose', (t) => {
  const before = memory.stats().tensors;
  let inner: Tensor | undefined;
  let kept: Tensor | undefined;
  const [y, { z }] = scope(() => {
    inner = ones([10]);
    kept = keep(inner.add(2));
    return [inner.add(1), { z: inner.mul(3) }] as const;
  });
  t.equal(inner?.disposed, true);
  t.strictSame([y.data()[0], z.data()[0], kept?.data()[0]], [2, 3, 3]);
  t.equal(memory.stats().tensors, before + 3);
  const used = z;
  used[Symbol.dispose]();
  t.equal(z.disposed, true);
  z.dispose();
  y.dispose();
  kept?.dispose();
  t.equal(memory.stats().tensors, before, 'every handle is back');
  t.match(
    refusal(() => y.add(1)),
    /ERR_DISPOSED/,
  );
  t.match(
    refusal(() => y.data()),
    /ERR_DISPOSED data: a f32 tensor of shape \[10\]/,
  );
  t.match(
    refusal(() => ones([1]).mul(z)),
    /ERR_DISPOSED/,
  );
  t.match(
    refusal(() => scope(async () => 1)),
    /ERR_SCOPE/,
  );
  let left: Tensor | undefined;
  refusal(() =>
    scope(() => {
      left = ones([1]);
      throw new Error('out');
    }),
  );
  t.equal(left?.disposed, true, 'an exception leaves nothing behind');
  t.end();
});

t.test('bad input is refused with what came and what is needed', (t) =>
  scope(() => {
    const f = ones([2]);
    const i = ones([2], { dtype: 'i32' });
    const wrong = (x: unknown): never => x as never;
    const cases: [() => unknown, RegExp][] = [
      [() => f.add(i), /ERR_DTYPE add: 'b' is i32 where other inputs are f32.*\.cast/],
      [() => i.div(i), /ERR_DTYPE div: 'a' is i32; needs f32 or bf16.*\.cast/],
      [() => i.div(2), /ERR_DTYPE div/],
      [() => i.mul(0.5), /ERR_DTYPE mul: i32 cannot hold 0.5/],
      [() => i.sqrt(), /ERR_DTYPE sqrt/],
      [() => f.add(ones([2], { device: 'ref' })), /ERR_DEVICE add: 'b' is on ref/],
      [() => f.add(ones([3])), /ERR_SHAPE_MISMATCH add: got shapes \[2\] and \[3\]/],
      [() => f.add(wrong('1')), /ERR_ARGUMENT add: 'b' must be a Tensor/],
      [() => f.cast(wrong('f16')), /ERR_DTYPE cast: 'f16' is not a dtype/],
      [
        () => f.gelu(wrong({ aproximate: 'tanh' })),
        /ERR_OPTION gelu: unknown option 'aproximate'. Did you mean 'approximate'/,
      ],
      [() => f.sum(wrong(0)), /ERR_OPTION sum: got 0 in the place of its options; needs an object with: dim, keepdim/],
      [() => f.sum(wrong(null)), /ERR_OPTION sum: got null/],
      [() => f.gelu(wrong('tanh')), /ERR_OPTION gelu: got "tanh".*: approximate/],
      [() => f.gelu(wrong({ approximate: 'erf' })), /ERR_ARGUMENT gelu: 'approximate' cannot be 'erf'/],
      [() => f.clamp({}), /ERR_ARGUMENT clamp/],
      [() => f.clamp({ min: 2, max: 1 }), /ERR_ARGUMENT clamp/],
      [() => f.clamp({ min: NaN }), /ERR_ARGUMENT clamp/],
      [() => i.clamp({ min: 0.5 }), /ERR_DTYPE clamp: i32 cannot hold 0.5/],
      [() => dropout(f, 1), /ERR_ARGUMENT dropout: p is 1/],
      [() => dropout(f, -0.1), /ERR_ARGUMENT dropout/],
      [() => dropout(f, NaN), /ERR_ARGUMENT dropout/],
      [() => dropout(f, 0.5, wrong({ train: true })), /ERR_OPTION dropout.*training/],
      [() => zeros([-1]), /ERR_SHAPE_MISMATCH zeros: \[-1\] is not a shape/],
      [() => zeros([2], wrong({ dtpe: 'f32' })), /ERR_OPTION .*Did you mean 'dtype'/],
      [() => zeros([2], wrong({ device: 'gpu' })), /ERR_DEVICE/],
      [() => zeros([2], { dtype: 'u8', requiresGrad: true }), /ERR_DTYPE requiresGrad/],
      [() => full([2], 256, { dtype: 'u8' }), /ERR_DTYPE full: u8 cannot hold 256/],
      [() => rand([2], wrong({ dtype: 'i32' })), /ERR_DTYPE rand/],
      [() => arange(5, { step: 0 }), /ERR_ARGUMENT arange/],
      [() => arange(5, { step: -1 }), /ERR_ARGUMENT arange/],
      [() => arange(300, { dtype: 'u8' }), /ERR_DTYPE arange/],
      [() => tensor([[1], [2, 3]]), /ERR_SHAPE_MISMATCH tensor: the nested arrays are ragged/],
      [() => tensor(wrong([1, 'a'])), /ERR_ARGUMENT tensor: a value is of type string; needs numbers/],
      [() => tensor(wrong(undefined)), /ERR_ARGUMENT tensor: a value is of type undefined/],
      [() => tensor([1, 2], { shape: [3] }), /ERR_SHAPE_MISMATCH tensor: 2 values/],
      [() => f.reshape(wrong(2)), /ERR_SHAPE_MISMATCH reshape: got 2; needs a list of extents/],
      [() => f.permute(wrong(0)), /ERR_ARGUMENT permute: got 0; needs a list of axes/],
      [() => manualSeed(1.5), /ERR_ARGUMENT manualSeed: 1.5 is not a seed/],
      [() => manualSeed(-1), /ERR_ARGUMENT manualSeed/],
      [() => writeData(f, [1]), /ERR_SHAPE_MISMATCH writeData/],
      [() => f.item(), /ERR_SHAPE_MISMATCH item/],
      [() => f.bits(), /ERR_DTYPE bits/],
      [() => oneHot(f, 2), /ERR_DTYPE oneHot: 'indices' is f32; needs i32/],
      [() => oneHot(tensor([0, 5], { dtype: 'i32' }), 3).data(), /ERR_KERNEL oneHot/],
      [() => oneHot(tensor([0, 5], { dtype: 'i32', device: 'ref' }), 3), /ERR_KERNEL oneHot/],
    ];
    for (const [f, says] of cases) t.match(refusal(f), says, String(f));
    t.end();
  }),
);

t.test('a tensor in a text shows its values', (t) =>
  scope(() => {
    t.equal(String(ones([2], { dtype: 'u8' })), 'Tensor<u8> [2] cpu [1, 1]');
    t.end();
  }),
);

t.test('creation', (t) =>
  scope(() => {
    t.strictSame(list(arange(5)), [0, 1, 2, 3, 4]);
    t.strictSame(list(arange(1, { start: 0, step: 0.25 })), [0, 0.25, 0.5, 0.75]);
    t.strictSame(list(arange(-3, { step: -1, dtype: 'i32' })), [0, -1, -2]);
    t.strictSame(list(full([2], -2.5, { dtype: 'bf16' })), [-2.5, -2.5]);
    t.strictSame(list(oneHot(tensor([2, 0], { dtype: 'i32' }), 3)), [0, 0, 1, 1, 0, 0]);
    t.strictSame(oneHot(tensor([[1]], { dtype: 'i32' }), 3).shape, [1, 1, 3]);
    const like = ones([2, 3], { dtype: 'bf16', device: 'ref' });
    t.strictSame([like.zerosLike().dtype, like.onesLike().device, like.zerosLike().shape], ['bf16', 'ref', [2, 3]]);
    t.equal(ones([1], { requiresGrad: true }).requiresGrad, true);
    t.end();
  }),
);

t.test('random numbers: one seed, the same on every device', (t) =>
  scope(() => {
    const draw = <R>(f: () => R): R => {
      manualSeed(1234567890123);
      return f();
    };
    const n = 70001;
    const u = draw(() => rand([n])).data();
    t.strictSame(
      [...u],
      Array.from({ length: n }, (_, i) => uniformAt(1234567890123, i)),
      'cpu is uniformAt, bit for bit',
    );
    t.strictSame(list(draw(() => rand([n], { device: 'ref' }))), [...u]);
    t.ok(
      draw(() => rand([n], { dtype: 'bf16' }))
        .data()
        .every((x) => x >= 0 && x < 1),
      'bf16 stays below 1',
    );
    const cpu = draw(() => randn([n])).doubles();
    const ref = draw(() => randn([n], { device: 'ref' })).doubles();
    t.ok(
      cpu.every((x, i) => near(x, ref[i] as number)),
      'normal numbers agree within rounding',
    );
    const mean = cpu.reduce((a, b) => a + b, 0) / n;
    const variance = cpu.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
    t.ok(Math.abs(mean) < 0.02 && Math.abs(variance - 1) < 0.03, `mean ${mean}, variance ${variance}`);
    const state = randomState();
    const first = list(rand([3]));
    setRandomState(state);
    t.strictSame(list(rand([3])), first, 'a state replays');
    t.notSame(list(rand([3])), first);
    t.end();
  }),
);

t.test('dropout: the same elements forward, backward and on every device', (t) =>
  scope(() => {
    const p = 0.3;
    const x = ones([5000], { requiresGrad: true });
    manualSeed(5);
    const y = dropout(x, p);
    y.sumTo([]).backward();
    t.strictSame(list(x.grad as Tensor), list(y));
    t.strictSame(
      list(y),
      Array.from({ length: 5000 }, (_, i) => (uniformAt(5, i) >= p ? Math.fround(1 / (1 - p)) : 0)),
    );
    t.equal(dropout(x, p, { training: false }), x);
    x.grad?.dispose();
    t.end();
  }),
);

t.test('allFinite and isFinite', (t) =>
  scope(() => {
    const x = ones([100000]);
    t.equal(allFinite(x).item(), 1);
    writeData(
      x,
      Float32Array.from({ length: 100000 }, (_, i) => (i === 99999 ? NaN : 1)),
    );
    t.equal(allFinite(x).item(), 0);
    t.strictSame(list(isFinite(tensor([1, Infinity, NaN]))), [1, 0, 0]);
    t.end();
  }),
);

t.test('casts saturate and cut', (t) =>
  scope(() => {
    for (const device of ['cpu', 'ref'] as const) {
      const x = tensor([-1.5, 2.9, 300, NaN, 1e10], { device });
      t.strictSame(list(x.cast('u8')), [0, 2, 255, 0, 255]);
      t.strictSame(list(x.cast('i32')), [-1, 2, 300, 0, 2147483647]);
    }
    const x = tensor([1.5], { requiresGrad: true });
    t.equal(x.cast('i32').requiresGrad, false);
    x.cast('bf16').mul(3).sumTo([]).backward();
    t.strictSame([x.grad?.dtype, list(x.grad as Tensor)], ['f32', [3]]);
    x.grad?.dispose();
    t.end();
  }),
);

t.test('results too small for a normal number are zero, on every thread; such inputs are used as they are', (t) =>
  scope(() => {
    const x = full([1 << 20], 1e-20);
    t.ok(
      list(x.mul(1e-25)).every((v) => v === 0),
      'no denormal products',
    );
    const tiny = tensor([1e-40, -1e-40]);
    t.strictSame(
      list(tiny.abs().mul(1e30)),
      [Math.fround(1e-40), Math.fround(1e-40)].map((v) => Math.fround(v * 1e30)),
    );
    t.strictSame(list(tiny.sign()), [1, -1]);
    t.equal(Number.MIN_VALUE * (tiny.size - 1), 5e-324, "JavaScript's own numbers are not concerned");
    t.end();
  }),
);

t.test('memory: large blocks are merged and split', (t) => {
  memory.emptyCache();
  const take = (n: number, mib: number): Tensor[] => Array.from({ length: n }, () => zeros([mib << 18]));
  const give = (all: readonly Tensor[]): void => all.forEach((x) => x.dispose());
  give(take(4, 40));
  const { systemAllocations, live, cached } = memory.stats();
  for (const [n, mib] of [
    [1, 160],
    [3, 50],
    [2, 75],
    [4, 40],
  ] as const) {
    const all = take(n, mib);
    t.equal(memory.stats().live, live + n * mib * (1 << 20));
    t.equal(memory.stats().cached, cached - n * mib * (1 << 20));
    give(all);
  }
  t.equal(memory.stats().systemAllocations, systemAllocations, 'all fitted what four smaller ones had left');
  t.end();
});

t.test('memory: bytes are counted, and a limit refuses', (t) => {
  memory.emptyCache();
  const before = memory.stats();
  const x = zeros([1 << 18]);
  synchronize();
  t.ok(memory.stats().live >= before.live + (1 << 20), 'a MB more is live');
  memory.setLimit(memory.stats().reserved + (1 << 20));
  t.match(
    refusal(() => zeros([1 << 22]).data()),
    /ERR_OOM/,
  );
  memory.setLimit(before.limit);
  x.dispose();
  t.equal(memory.stats().live, before.live);
  t.end();
});
