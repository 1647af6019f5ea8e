// What a copy of a weight in the kernel's own order saves: the same bf16 products with it and without, taking turns.
import { memory } from '../lib/core/memory.js';
import type { Tensor } from '../lib/core/tensor.js';
import { conv2d, linear, matmul, randn } from '../lib/index.js';
import { interleave, time } from './interleave.js';
import type { Row } from './row.js';

interface Use {
  readonly name: string;
  readonly mode: string;
  readonly flops: number;
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly call: (x: Tensor, weight: Tensor) => Tensor;
}

// Rows, depth, columns.
const products = [
  [1024, 768, 3072],
  [1024, 3072, 768],
  [4096, 1024, 1024],
  [256, 512, 1000],
  [32, 512, 1000],
  [512, 512, 512],
] as const;

const uses: readonly Use[] = [
  ...products.map(([m, k, n]): Use => {
    const shape = { x: [m, k], weight: [n, k], mode: `${m}x${k} ${n}x${k}`, flops: 2 * m * k * n };
    return { ...shape, name: 'weight copy: linear', call: linear };
  }),
  ...products.slice(0, 2).map(([m, k, n]): Use => {
    const shape = { x: [m, n], weight: [n, k], mode: `${m}x${n} ${n}x${k}`, flops: 2 * m * k * n };
    return { ...shape, name: 'weight copy: gradient of x', call: matmul };
  }),
  ...[
    [128, 8, 256],
    [1, 8, 256],
    [1, 56, 64],
  ].map(([batch = 0, side = 0, channels = 0]): Use => {
    const x = [batch, side, side, channels];
    const weight = [channels, 3, 3, channels];
    const flops = 2 * batch * side * side * 9 * channels * channels;
    const call = (image: Tensor, w: Tensor): Tensor => conv2d(image, w, undefined, { padding: 1 });
    return { name: 'weight copy: conv2d', mode: `${x.join('x')} 3x3`, flops, x, weight, call };
  }),
];

/** `ratio`: how much longer the call takes without the copy. */
export function* layoutRows(filter: string, rounds: number): Generator<Row> {
  for (const use of uses) {
    if (!use.name.includes(filter)) continue;
    const x = randn(use.x, { dtype: 'bf16' });
    const weight = randn(use.weight, { dtype: 'bf16' });
    const withCopy = (): void => void use.call(x, weight);
    const without = (): void => {
      memory.setPacking(false);
      use.call(x, weight);
      memory.setPacking(true);
    };
    // The first two calls make the copy.
    for (let i = 0; i < 2; i++) time(withCopy);
    const [ms, withoutMs] = interleave(rounds, [withCopy, without]) as [number, number];
    const before = memory.stats().reorders;
    time(withCopy);
    const reorders = memory.stats().reorders - before;
    x.dispose();
    weight.dispose();
    yield {
      bench: 'ops',
      name: use.name,
      dtype: 'bf16',
      mode: use.mode,
      batch: null,
      ms,
      unit: 'GFLOP/s',
      value: use.flops / ms / 1e6,
      limit: null,
      share: null,
      peer: 'without a copy',
      peerMs: withoutMs,
      ratio: withoutMs / ms,
      peakBytes: null,
      peerPeakBytes: null,
      reorders,
    };
  }
}
