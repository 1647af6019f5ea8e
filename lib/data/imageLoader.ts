// The tensors it hands out have their methods.
import '../tensor.js';
import { tensor } from '../core/create.js';
import { type Device, checkDevice, defaultDevice } from '../core/device.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { type RandomState, uniformAt } from '../core/random.js';
import type { Tensor } from '../core/tensor.js';
import type { LabelledImages } from './fashionMnist.js';

export interface ImageLoaderOptions {
  batchSize: number;
  /** A new order in every epoch (default false). */
  shuffle?: boolean;
  /** Leave out a last batch that is not full (default false). */
  dropLast?: boolean;
  /** Where the order and the augmentation come from; the same seed gives the same batches. */
  seed?: number;
  /** Shift each image by up to `pad` pixels and flip half of them left to right (default: no augmentation). */
  augment?: { pad: number; flip: boolean };
  /** Subtracted and divided by, on the scale 0..1 (default: mean and deviation of these images). */
  normalize?: { mean: number; std: number };
  /** Use only the first so many images. */
  limit?: number;
  /** Where batches are put (default: the default device, as it is when the loader is made). */
  device?: Device;
}

const optionNames = ['batchSize', 'shuffle', 'dropLast', 'seed', 'augment', 'normalize', 'limit', 'device'] as const;

export interface ImageBatch {
  readonly input: Tensor;
  readonly target: Tensor;
  readonly size: number;
}

/**
 * Batches of 8-bit grey images held in memory, as `[N, H, W, 1]` f32 and class indices `[N]` i32. Order and
 * augmentation are functions of (seed, epoch, index) alone, so that training can resume in the middle of an epoch.
 */
export class ImageLoader {
  readonly #images: LabelledImages;
  readonly #options: ImageLoaderOptions;
  readonly count: number;
  readonly device: Device;
  readonly normalize: { readonly mean: number; readonly std: number };

  constructor(images: LabelledImages, options: ImageLoaderOptions) {
    checkOptions('ImageLoader', options, optionNames);
    this.device = options.device ?? defaultDevice();
    checkDevice('ImageLoader', this.device);
    if (!Number.isInteger(options.batchSize) || options.batchSize < 1) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `ImageLoader: batchSize is ${options.batchSize}; needs a whole number of at least 1.`,
      );
    }
    const limit = options.limit ?? images.count;
    if (!Number.isInteger(limit) || limit < 1)
      throw new SecateurError('ERR_ARGUMENT', `ImageLoader: limit is ${limit}; needs a whole number of at least 1.`);
    this.#images = images;
    this.#options = options;
    this.count = Math.min(limit, images.count);
    this.normalize = options.normalize ?? moments(images.images, this.count * images.height * images.width);
  }

  /** Batches in an epoch. */
  get length(): number {
    const { batchSize, dropLast } = this.#options;
    return dropLast === true ? Math.floor(this.count / batchSize) : Math.ceil(this.count / batchSize);
  }

  /** The batches of one epoch, from batch `start` on. The caller disposes the tensors. */
  *epoch(epoch: number, start = 0): Generator<ImageBatch> {
    const order = this.#order(epoch);
    for (let b = start; b < this.length; b++) {
      const from = b * this.#options.batchSize;
      yield this.#batch(order.subarray(from, Math.min(from + this.#options.batchSize, this.count)), epoch);
    }
  }

  #order(epoch: number): Uint32Array {
    const order = Uint32Array.from({ length: this.count }, (_, i) => i);
    if (this.#options.shuffle !== true) return order;
    const stream = this.#stream(epoch, 0);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(uniformAt(stream.seed, stream.position + i) * (i + 1));
      const held = order[i] as number;
      order[i] = order[j] as number;
      order[j] = held;
    }
    return order;
  }

  // Streams of different epochs and purposes never meet: each has 2^40 positions of its own.
  #stream(epoch: number, purpose: 0 | 1): RandomState {
    return { seed: (this.#options.seed ?? 0) + 0x5eca7e, position: (epoch * 2 + purpose) * 2 ** 40 };
  }

  #batch(indices: Uint32Array, epoch: number): ImageBatch {
    const { height, width } = this.#images;
    const { mean, std } = this.normalize;
    const table = Float32Array.from({ length: 256 }, (_, v) => (v / 255 - mean) / std);
    const n = indices.length;
    const pixels = new Float32Array(n * height * width);
    const labels = new Int32Array(n);
    const augment = this.#options.augment;
    const stream = this.#stream(epoch, 1);
    for (let k = 0; k < n; k++) {
      const index = indices[k] as number;
      labels[k] = this.#images.labels[index] as number;
      const draw = (i: number): number => uniformAt(stream.seed, stream.position + index * 4 + i);
      const shift = (i: number): number =>
        augment === undefined ? 0 : Math.floor(draw(i) * (2 * augment.pad + 1)) - augment.pad;
      const flip = augment?.flip === true && draw(2) < 0.5;
      copyImage(
        this.#images.images,
        index * height * width,
        pixels,
        k * height * width,
        height,
        width,
        shift(0),
        shift(1),
        flip,
        table,
      );
    }
    const { device } = this;
    return {
      input: tensor(pixels, { shape: [n, height, width, 1], device }),
      target: tensor(labels, { device }),
      size: n,
    };
  }
}

/** Copies an image through a table of values, shifted (what comes in from outside is black) and perhaps mirrored. */
function copyImage(
  from: Uint8Array,
  at: number,
  to: Float32Array,
  out: number,
  h: number,
  w: number,
  dy: number,
  dx: number,
  flip: boolean,
  table: Float32Array,
): void {
  for (let y = 0; y < h; y++) {
    const sy = y + dy;
    for (let x = 0; x < w; x++) {
      const sx = (flip ? w - 1 - x : x) + dx;
      const inside = sy >= 0 && sy < h && sx >= 0 && sx < w;
      to[out + y * w + x] = table[inside ? (from[at + sy * w + sx] as number) : 0] as number;
    }
  }
}

function moments(bytes: Uint8Array, n: number): { mean: number; std: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const x = (bytes[i] as number) / 255;
    sum += x;
    squares += x * x;
  }
  const mean = sum / n;
  return { mean, std: Math.sqrt(Math.max(squares / n - mean * mean, 1e-12)) };
}
