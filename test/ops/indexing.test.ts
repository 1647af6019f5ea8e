// What the conformance test cannot see of indexing and views: bad indices, shared storage, gradients written in place.
import t from 'tap';
import { SecateurError, concat, embedding, scope, stack, synchronize, tensor } from '../../lib/index.js';

function error(fn: () => unknown): SecateurError {
  try {
    fn();
  } catch (e) {
    if (e instanceof SecateurError) return e;
    throw e;
  }
  throw new Error('nothing was thrown');
}

t.test('an index out of range is refused when the kernel runs', (t) => {
  scope(() => {
    for (const device of ['cpu', 'ref'] as const) {
      const x = tensor([1, 2, 3, 4, 5, 6], { shape: [3, 2], device });
      const ids = (values: number[], shape = [values.length]) => tensor(values, { dtype: 'i32', shape, device });
      const calls: [string, string, () => { data(): unknown }][] = [
        ['indexSelect', 'index 3 at position 1', () => x.indexSelect(0, ids([0, 3]))],
        ['indexSelect', 'index -1 at position 0', () => embedding(x, ids([-1, 0], [1, 2]))],
        ['gather', 'index 2 at position 2', () => x.gather(1, ids([0, 1, 2], [3, 1]))],
        [
          'scatterAdd',
          'index 7 at position 0',
          () => x.scatterAdd(1, ids([7], [1, 1]), tensor([1], { shape: [1, 1], device })),
        ],
      ];
      for (const [op, says, call] of calls) {
        const e = error(() => call().data());
        t.equal(e.code, 'ERR_KERNEL', `${op} on ${device}`);
        t.match(e.message, op);
        t.match(e.message, says);
      }
      t.strictSame(Array.from(x.indexSelect(0, ids([2])).data()), [5, 6], 'the device works on afterwards');
    }
  });
  t.end();
});

t.test('narrowing the first axis gives a view', (t) => {
  scope(() => {
    const x = tensor([0, 1, 2, 3, 4, 5, 6, 7], { shape: [4, 2] });
    const y = x.narrow(0, 1, 2);
    y.add_(tensor([10, 10]));
    t.strictSame(Array.from(x.data()), [0, 1, 12, 13, 14, 15, 6, 7], 'a write to the view is seen in the base');
    x.add_(tensor([1, 1]));
    t.strictSame(Array.from(y.data()), [13, 14, 15, 16], 'and the other way round');
    const last = x.narrow(0, -1, 1).narrow(0, 0, 1).reshape([2]);
    x.dispose();
    tensor(new Float32Array(8).fill(-1));
    t.strictSame(Array.from(last.data()), [7, 8], 'a view of a view keeps the base alive');
    const copy = y.narrow(1, 0, 1);
    copy.add_(tensor([100]));
    t.strictSame(Array.from(y.data()), [13, 14, 15, 16], 'along another axis it is a copy');
  });
  t.end();
});

t.test('split, stack, squeeze, unsqueeze, flatten, expand', (t) => {
  scope(() => {
    const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { shape: [5, 2], requiresGrad: true });
    const parts = x.split(2);
    t.strictSame(
      parts.map((p) => p.shape),
      [
        [2, 2],
        [2, 2],
        [1, 2],
      ],
    );
    const [a, b] = x.split([1, 1], 1);
    t.strictSame(Array.from(b?.data() ?? []), [1, 3, 5, 7, 9]);
    t.equal(error(() => x.split([2, 2])).code, 'ERR_SHAPE_MISMATCH');
    if (a === undefined || b === undefined) throw new Error('split gave too little');
    const s = stack([a, b, a], -1);
    t.strictSame(s.shape, [5, 1, 3]);
    s.sum().backward();
    t.strictSame(Array.from(x.grad?.data() ?? []), [2, 1, 2, 1, 2, 1, 2, 1, 2, 1], 'a piece used twice gets twice');
    t.strictSame(s.squeeze().shape, [5, 3]);
    t.strictSame(s.squeeze(0).shape, [5, 1, 3]);
    t.strictSame(s.unsqueeze(-1).shape, [5, 1, 3, 1]);
    t.strictSame(s.flatten(1).shape, [5, 3]);
    t.strictSame(tensor([1], { shape: [] }).flatten().shape, [1]);
    t.strictSame(a.expand([-1, 4]).shape, [5, 4]);
    t.strictSame(x.transpose(0, -1).shape, [2, 5]);
    t.strictSame(Array.from(x.slice([-2], [5], [1]).data()), [6, 7, 8, 9], 'a negative start counts from the back');
    t.strictSame(x.slice([0, 1], [99, 0]).shape, [5, 0], 'ends are clamped');
    t.strictSame(concat([x.narrow(0, 0, 1), x.narrow(0, 4, 1)]).shape, [2, 2]);
  });
  t.end();
});

t.test('an embedding adds its gradient in the place set aside for it', (t) => {
  scope(() => {
    const weight = tensor(new Float32Array(12), { shape: [4, 3], requiresGrad: true });
    const slot = tensor(new Float32Array(12).fill(99), { shape: [4, 3] });
    weight.gradSlot = slot;
    const ids = tensor([2, 0, 2, 2], { dtype: 'i32', shape: [2, 2] });
    embedding(weight, ids).sum().backward();
    t.equal(weight.grad, slot);
    t.strictSame(Array.from(slot.data()), [1, 1, 1, 0, 0, 0, 3, 3, 3, 0, 0, 0], 'the first gradient overwrites');
    embedding(weight, ids).sum().backward();
    t.strictSame(Array.from(slot.data()), [2, 2, 2, 0, 0, 0, 6, 6, 6, 0, 0, 0], 'the second adds');
  });
  t.end();
});

t.test('argmax and topk without an axis, and options', (t) => {
  scope(() => {
    const x = tensor([1, 9, 3, 9, 5, 6], { shape: [2, 3] });
    t.equal(x.argmax().item(), 1, 'the first of equals');
    t.strictSame(x.argmax({ keepdim: true }).shape, [1, 1]);
    t.strictSame(x.argmax({ dim: 0, keepdim: true }).shape, [1, 3]);
    const { values, indices } = x.topk(2, { largest: false });
    t.strictSame(
      [values, indices].map((v) => Array.from(v.data())),
      [
        [1, 3, 5, 6],
        [0, 2, 1, 2],
      ],
    );
    t.equal(error(() => x.sum({ dims: 1 } as object)).code, 'ERR_OPTION');
    t.equal(error(() => x.norm({ p: 3 as 2 })).code, 'ERR_ARGUMENT');
    t.equal(x.norm({ p: Infinity }).item(), 9);
    synchronize();
  });
  t.end();
});
