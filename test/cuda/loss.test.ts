// Targets that are no class are found by the kernel, and raised where the loss is read.
import t from 'tap';
import { crossEntropy, nllLoss, tensor } from '../../lib/index.js';
import { noGpu } from './gpu.js';

t.test('targets on the GPU', { skip: noGpu }, (t) => {
  const device = 'cuda';
  const x = tensor(new Float32Array(12), { shape: [3, 4], device });
  const target = (values: number[]) => tensor(Int32Array.from(values), { device });
  for (const loss of [crossEntropy, nllLoss]) {
    const refuses = (values: number[], says: RegExp, options = {}): void =>
      void t.throws(() => loss(x, target(values), options).data(), { code: 'ERR_KERNEL', message: says });
    refuses([0, 4, 1], new RegExp(`${loss.name}: the target of row 1 is 4; needs a class from 0 to 3`));
    refuses([0, 1, -1], /row 2 is -1/);
    refuses([2147483647, 0, 0], /row 0 is 2147483647/);
    const other = { ignoreIndex: 9, reduction: 'none' } as const;
    refuses([9, 9, -100], /row 2 is -100.*ignoreIndex \(9\)/, other);
    t.strictSame([...loss(x, target([9, 9, 9]), other).data()], [0, 0, 0], 'ignored rows are 0');
  }
  const works = crossEntropy(x, target([0, 1, 2])).item();
  t.equal(works.toFixed(5), Math.log(4).toFixed(5), 'works after an error');
  t.end();
});
