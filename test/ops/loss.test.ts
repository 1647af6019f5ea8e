// What conformance cannot show of the losses: errors that only the kernel can raise, and options nobody knows.
import t, { type Test } from 'tap';
import { SecateurError } from '../../lib/core/errors.js';
import { type Device, type Tensor, crossEntropy, nllLoss, tensor } from '../../lib/index.js';

function refuses(t: Test, make: () => Tensor, code: string, says: RegExp): void {
  try {
    make().data();
    t.fail('was accepted');
  } catch (error) {
    t.ok(error instanceof SecateurError, String(error));
    t.equal((error as SecateurError).code, code);
    t.match((error as Error).message, says);
  }
}

for (const device of ['cpu', 'ref'] as Device[]) {
  t.test(`targets on ${device}`, (t) => {
    const x = tensor(new Float32Array(12), { shape: [3, 4], device });
    const target = (values: number[]) => tensor(Int32Array.from(values), { device });
    for (const loss of [crossEntropy, nllLoss]) {
      refuses(t, () => loss(x, target([0, 4, 1])), 'ERR_KERNEL', /row 1 is 4; needs a class from 0 to 3/);
      refuses(t, () => loss(x, target([0, 1, -1])), 'ERR_KERNEL', /row 2 is -1/);
      refuses(t, () => loss(x, target([2147483647, 0, 0])), 'ERR_KERNEL', /row 0 is 2147483647/);
      const other = { ignoreIndex: 9, reduction: 'none' } as const;
      refuses(t, () => loss(x, target([9, 9, -100]), other), 'ERR_KERNEL', /row 2 is -100.*ignoreIndex \(9\)/);
      t.strictSame([...loss(x, target([9, 9, 9]), other).data()], [0, 0, 0], 'ignored rows are 0');
    }
    t.equal(
      crossEntropy(x, target([0, 1, 2]))
        .item()
        .toFixed(5),
      Math.log(4).toFixed(5),
      'works after an error',
    );
    t.end();
  });
}

t.test('options', (t) => {
  const x = tensor([[0, 1]]);
  const target = tensor(Int32Array.from([1]));
  refuses(t, () => crossEntropy(x, target, { labelSmooth: 0.1 } as object), 'ERR_OPTION', /labelSmoothing/);
  refuses(t, () => crossEntropy(x, target, { reduction: 'avg' as 'mean' }), 'ERR_ARGUMENT', /mean, sum, none/);
  refuses(t, () => crossEntropy(x, x), 'ERR_DTYPE', /'target' is f32; needs i32/);
  t.end();
});
