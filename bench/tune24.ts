// Measures the products that a 2:4 weight can have, for the table of lib/ops/choice24.ts.
import { writeFileSync } from 'node:fs';
import { noGrad } from '../lib/autograd/tape.js';
import { conv2d, conv2d24, describeDevice, linear24, matmul, pack24, scope } from '../lib/index.js';
import type { Entry24, Table24 } from '../lib/index.js';
import { normal } from './callWork.js';
import { timeCall } from './timeCall.js';

/** A layer: `pixels` lines for a linear one; an image of that many pixels, 3 x 3, for a convolution. */
export interface Layer24 {
  readonly kind: Entry24['kind'];
  readonly outputs: number;
  readonly inputs: number;
  readonly pixels: number;
}

// The layers of BERT and GPT-2 at 512 to 8,192 tokens, and the 3 x 3 convolutions of ResNets at 3,136 to 100,352 pixels.
export const layers24: readonly Layer24[] = [
  ...[512, 2048, 8192].flatMap((pixels) =>
    [
      [768, 768],
      [2304, 768],
      [3072, 768],
      [768, 3072],
      [4096, 1024],
      [1024, 4096],
    ].map(([outputs, inputs]): Layer24 => ({
      kind: 'linear',
      outputs: outputs as number,
      inputs: inputs as number,
      pixels,
    })),
  ),
  ...[64, 128, 256, 512].flatMap((channels) =>
    [3136, 25088, 100352].map((pixels): Layer24 => ({ kind: 'conv2d', outputs: channels, inputs: channels, pixels })),
  ),
];

/** Times one layer in all three ways; `depth` of its entry is what the product sums over. */
function measure({ kind, outputs, inputs, pixels }: Layer24, rounds: number): Entry24 {
  return noGrad(() =>
    scope(() => {
      const window = kind === 'linear' ? [] : [3, 3];
      // An image of whole rows, as near to square as powers of two allow.
      const height = 2 ** Math.floor(Math.log2(Math.sqrt(pixels)));
      const shape = kind === 'linear' ? [pixels, inputs] : [1, height, Math.ceil(pixels / height), inputs];
      const x = normal(shape, 'bf16');
      const w = normal([outputs, ...window, inputs], 'bf16');
      const packed = pack24(w);
      const padding = { padding: 1 };
      const sparse = (tile: 'small' | 'large') => (): void =>
        void (kind === 'linear'
          ? linear24(x, packed, undefined, { tile })
          : conv2d24(x, packed, 3, undefined, { ...padding, tile }));
      const dense = (): void =>
        void (kind === 'linear' ? matmul(x, w, { transB: true }) : conv2d(x, w, undefined, padding));
      const microseconds = {
        small: timeCall(sparse('small'), rounds),
        large: timeCall(sparse('large'), rounds),
        dense: timeCall(dense, rounds),
      };
      return { kind, outputs, pixels, depth: inputs * window.reduce((a, b) => a * b, 1), microseconds };
    }),
  );
}

/**
 * Measures the layers on this process's GPU, the dense products through NVIDIA's libraries where they are there, and
 * writes the table. Gives every entry as soon as it is known.
 *
 * @throws ERR_CUDA_UNAVAILABLE without a GPU
 */
export function* tune24(path: string, layers: readonly Layer24[], rounds: number): Generator<Entry24> {
  const gpu = describeDevice('cuda');
  const entries: Entry24[] = [];
  for (const layer of layers) {
    const entry = measure(layer, rounds);
    entries.push(entry);
    yield entry;
  }
  const table: Table24 = { gpu, entries };
  writeFileSync(path, JSON.stringify(table, null, 1) + '\n');
}
