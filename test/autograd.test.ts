import t from 'tap';
import { type Tensor, customFunction, gradCheck, keep, memory, noGrad, relu_, scope, tensor } from '../lib/index.js';
import { Arena } from '../lib/optim/arena.js';

const ramp = (n: number): Float32Array => Float32Array.from({ length: n }, (_, i) => (i - n / 2) / 4);

t.test('a gradient adds up over uses and over calls', (t) => {
  const x = tensor([1, 2, 3], { requiresGrad: true });
  scope(() => x.mul(x).add(x).sumTo([]).backward());
  t.strictSame([...(x.grad as Tensor).data()], [3, 5, 7]);
  scope(() => x.sumTo([]).backward());
  t.strictSame([...(x.grad as Tensor).data()], [4, 6, 8]);
  t.end();
});

t.test('gradients land in an arena, and add there', (t) => {
  const a = tensor([1, 2, 3], { requiresGrad: true });
  const b = tensor([[1], [2]], { requiresGrad: true });
  const arena = new Arena([a, b]);
  t.strictSame([...a.data()], [1, 2, 3]);
  t.strictSame(arena.offsets, [0, 64, 128]);
  for (let i = 1; i <= 2; i++) {
    scope(() =>
      b
        .matmul(a.reshape([1, 3]))
        .sumTo([])
        .backward(),
    );
    t.equal(a.grad, a.gradSlot);
    t.strictSame([...(a.grad as Tensor).data()], [3 * i, 3 * i, 3 * i]);
    t.strictSame([...arena.range(arena.grads, 1, 2).data().slice(0, 2)], [6 * i, 6 * i]);
  }
  arena.dispose();
  t.end();
});

t.test('errors name the op and the way out', (t) => {
  const x = tensor([1, 2], { requiresGrad: true });
  const code = (f: () => unknown): string => {
    try {
      f();
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`;
    }
    return 'no error';
  };
  t.match(
    code(() => tensor([1, 2]).sumTo([]).backward()),
    /ERR_NO_GRADIENT/,
  );
  t.match(
    code(() => noGrad(() => x.mul(x)).backward()),
    /ERR_NO_GRADIENT/,
  );
  t.match(
    code(() => x.mul(x).backward()),
    /ERR_SHAPE_MISMATCH.*\[2\]/,
  );
  const y = x.exp().sumTo([]);
  y.backward();
  t.match(
    code(() => y.backward()),
    /ERR_GRAPH_FREED.*retainGraph/,
  );
  const z = x.exp();
  const w = z.sumTo([]);
  relu_(z);
  t.match(
    code(() => w.backward()),
    /ERR_SAVED_MODIFIED: backward of exp.*relu/,
  );
  t.match(
    code(() => relu_(x)),
    /ERR_ARGUMENT.*leaf/,
  );
  t.match(
    code(() => scope(() => Promise.resolve(1))),
    /ERR_SCOPE/,
  );
  t.match(
    code(() => noGrad(() => Promise.resolve(1))),
    /ERR_SCOPE/,
  );
  t.end();
});

t.test('retainGraph allows a second run', (t) => {
  const x = tensor([2], { requiresGrad: true });
  const y = x.mul(x).sumTo([]);
  y.backward({ retainGraph: true });
  y.backward();
  t.strictSame([...(x.grad as Tensor).data()], [8]);
  t.end();
});

t.test('a custom function has the gradient it was given', (t) => {
  const through = customFunction<[Tensor]>({
    name: 'straightThrough',
    forward: ([x], save) => {
      save(x);
      return x.relu();
    },
    backward: (g, [x]) => [g.mul(x as Tensor)],
  });
  const x = tensor([-2, 3], { requiresGrad: true });
  through(x).sumTo([]).backward();
  t.strictSame([...(x.grad as Tensor).data()], [-2, 3]);
  const nothing = customFunction<[Tensor]>({ name: 'nothing', forward: ([x]) => x.neg(), backward: () => [undefined] });
  t.throws(() => nothing(x).sumTo([]).backward(), { code: 'ERR_NO_GRADIENT', message: /nothing.*input 0/ });
  t.end();
});

t.test('gradCheck finds a wrong gradient and passes a right one', (t) => {
  t.ok(gradCheck((x) => x.exp().mul(x).sumTo([]), [tensor(ramp(5))]) < 1e-7);
  const wrong = customFunction<[Tensor]>({ name: 'wrong', forward: ([x]) => x.exp(), backward: (g) => [g] });
  t.throws(() => gradCheck((x) => wrong(x).sumTo([]), [tensor(ramp(5))]), { code: 'ERR_GRADIENT' });
  t.end();
});

t.test('a tape that is dropped, run or not, frees what it saved', (t) => {
  const x = tensor(ramp(1000), { requiresGrad: true });
  const step = (run: boolean): void =>
    scope(() => {
      let y: Tensor = x;
      for (let i = 0; i < 50; i++) y = y.exp().mul(x);
      if (run) y.sumTo([]).backward();
    });
  step(true);
  const { tensors, live } = memory.stats();
  for (let i = 0; i < 20; i++) step(i % 2 === 0);
  t.equal(memory.stats().tensors, tensors);
  t.equal(memory.stats().live, live);
  t.end();
});

t.test('a scope around the forward pass: the same gradients, and memory that falls as backward proceeds', (t) => {
  const x = tensor(ramp(1 << 18));
  const weights = Array.from({ length: 12 }, () => tensor(ramp(1 << 18), { requiresGrad: true }));
  const forward = (): Tensor => weights.reduce((y: Tensor, w) => y.mul(w).sigmoid(), x).sumTo([]);
  const live: number[] = [];
  const gradients = (run: () => Tensor): number[][] => {
    scope(() => {
      const loss = run();
      live.length = 0;
      loss.backward({ onGradReady: () => live.push(memory.stats().live) });
    });
    return weights.map((w) => {
      const values = [...(w.grad as Tensor).data()];
      w.grad?.dispose();
      w.grad = undefined;
      return values;
    });
  };
  const plain = gradients(forward);
  t.strictSame(
    gradients(() => scope(forward)),
    plain,
  );
  // Each layer holds one result until its gradient is there, and leaves one gradient.
  t.ok(Math.max(...live) - Math.min(...live) <= 3 * (4 << 18), `live bytes on the way: ${live.join(' ')}`);
  t.end();
});

t.test('a very long tape is freed and run without recursion', (t) => {
  const x = tensor([1], { requiresGrad: true });
  scope(() => {
    let y: Tensor = x;
    for (let i = 0; i < 50_000; i++) y = y.neg();
  });
  scope(() => {
    let y: Tensor = x;
    for (let i = 0; i < 50_000; i++) y = y.neg();
    y.sumTo([]).backward();
  });
  t.strictSame([...(x.grad as Tensor).data()], [1]);
  t.end();
});

t.test('scope returns what it must and keep escapes it', (t) => {
  let kept: Tensor | undefined;
  let lost: Tensor | undefined;
  const { a } = scope(() => {
    kept = keep(tensor([1]));
    lost = tensor([2]);
    return { a: [tensor([3])] };
  });
  t.equal(kept?.item(), 1);
  t.equal(a[0]?.item(), 3);
  t.throws(() => lost?.data(), { code: 'ERR_DISPOSED' });
  t.end();
});
