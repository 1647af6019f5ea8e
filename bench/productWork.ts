// Packing weights to 2:4, and products, beside what cuBLASLt and cuDNN make of the dense ones.
import { noGrad } from '../lib/autograd/tape.js';
import { conv2d, conv2d24, linear24, matmul, pack24 } from '../lib/index.js';
import type { Tensor } from '../lib/core/tensor.js';
import { type Work, n, normal } from './callWork.js';

function packWork(from: 'f32' | 'bf16', transposed: boolean): Work {
  const size = from === 'f32' ? 4 : 2;
  return {
    name: `pack24 of W${transposed ? ' and its transpose' : ''}, ${from}`,
    elements: n,
    floorBytes: size + (transposed ? 2.25 : 1.125),
    make(scale) {
      const w = normal([scale * 1024, n / 1024], from);
      return () => void pack24(w, { transposed });
    },
  };
}

const unrecorded = (f: () => unknown) => (): void => void noGrad(f);

// A linear layer of 1024 x 1024 on this many lines.
const [lines, width] = [512, 1024];
const linearInputs = (scale: number): { x: Tensor; w: Tensor } => ({
  x: normal([scale * lines, width], 'bf16'),
  w: normal([width, width], 'bf16'),
});
const denseLinear: Work['make'] = (scale) => {
  const { x, w } = linearInputs(scale);
  return unrecorded(() => matmul(x, w, { transB: true }));
};
// Bytes of x, y and a weight of this many bytes an entry, an element of y.
const linearBytes = (weight: number): number => 2 + 2 + (weight * width) / lines;

// A 3 x 3 convolution of 128 channels on this many images.
const [images, extent, channels] = [2, 28, 128];
const pixels = images * extent * extent;
const convInputs = (scale: number): { x: Tensor; w: Tensor } => ({
  x: normal([scale * images, extent, extent, channels], 'bf16'),
  w: normal([channels, 3, 3, channels], 'bf16'),
});
const denseConv: Work['make'] = (scale) => {
  const { x, w } = convInputs(scale);
  return unrecorded(() => conv2d(x, w, undefined, { padding: 1 }));
};
const convBytes = (weight: number): number => 2 + 2 + (weight * 9 * channels) / pixels;

export const productWork: readonly Work[] = [
  packWork('bf16', true),
  packWork('bf16', false),
  packWork('f32', true),
  packWork('f32', false),
  {
    name: 'linear layer, bf16',
    elements: lines * width,
    floorBytes: linearBytes(2),
    flops: 2 * width,
    make: denseLinear,
    peer: { library: 'cuBLASLt', make: denseLinear },
  },
  {
    name: 'linear layer, 2:4 weight',
    elements: lines * width,
    floorBytes: linearBytes(1.125),
    flops: 2 * width,
    make(scale) {
      const { x, w } = linearInputs(scale);
      const packed = pack24(w);
      return unrecorded(() => linear24(x, packed));
    },
    peer: { library: 'cuBLASLt', make: denseLinear },
  },
  {
    name: 'convolution, bf16',
    elements: pixels * channels,
    floorBytes: convBytes(2),
    flops: 18 * channels,
    make: denseConv,
    peer: { library: 'cuDNN', make: denseConv },
  },
  {
    name: 'convolution, 2:4 weight',
    elements: pixels * channels,
    floorBytes: convBytes(1.125),
    flops: 18 * channels,
    make(scale) {
      const { x, w } = convInputs(scale);
      const packed = pack24(w);
      return unrecorded(() => conv2d24(x, packed, 3, undefined, { padding: 1 }));
    },
    peer: { library: 'cuDNN', make: denseConv },
  },
];
