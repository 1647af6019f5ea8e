// What convolutions share: geometry, shapes, and the definition in plain loops.
import type { RefArray } from '../core/op.js';
import { type Shape, needShape, shapeError, showShape } from '../core/shape.js';
import { checkImages, slidingExtents } from './window.js';

/** How the kernel moves over the image. */
export interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

/** Geometry as attributes of an op; `highest` precision: no Winograd. */
export const geometryAttrs = {
  stride: 'ints',
  padding: 'ints',
  dilation: 'ints',
  groups: 'int',
  precision: ['high', 'highest'],
} as const;

/** The shape of the result; refuses what does not fit. */
export function convolvedShape(
  op: string,
  x: Shape,
  weight: Shape,
  bias: Shape | undefined,
  geometry: Geometry,
): Shape {
  checkImages(op, x);
  const { groups } = geometry;
  const [n, , , channels] = x as readonly [number, number, number, number];
  if (weight.length !== 4 || (weight[1] as number) < 1 || (weight[2] as number) < 1)
    throw shapeError(op, `weight of shape ${showShape(weight)}`, '[out, kernel height, kernel width, in / groups]');
  const out = weight[0] as number;
  if (channels < 1) throw shapeError(op, `shape ${showShape(x)}`, 'at least one channel');
  if (channels % groups !== 0 || out % groups !== 0)
    throw shapeError(op, `${channels} channels to ${out} in ${groups} groups`, 'groups that divide both');
  if (weight[3] !== channels / groups) {
    throw shapeError(
      op,
      `weight of shape ${showShape(weight)} for ${showShape(x)} in ${groups} group${groups === 1 ? '' : 's'}`,
      `${channels / groups} input channels in the weight's last axis (images are [N, H, W, C])`,
    );
  }
  needShape(op, 'bias', bias, [out]);
  return [n, ...slidingExtents(op, x, { ...geometry, kernel: weight.slice(1, 3) }), out];
}

/** Calls f(start of y's and x's and weight's channels, out channel) for every product of a filter row with a pixel. */
export function visitProducts(
  x: Shape,
  weight: Shape,
  y: Shape,
  { stride, padding, dilation, groups }: Geometry,
  f: (at: number, from: number, filter: number, depth: number) => void,
): void {
  const [n, h, w, channels] = x as readonly [number, number, number, number];
  const [, kh, kw, depth] = weight as readonly [number, number, number, number];
  const [, outH, outW, out] = y as readonly [number, number, number, number];
  const [sh, sw] = stride as readonly [number, number];
  const [ph, pw] = padding as readonly [number, number];
  const [dh, dw] = dilation as readonly [number, number];
  for (let b = 0; b < n; b++)
    for (let i = 0; i < outH; i++)
      for (let j = 0; j < outW; j++)
        for (let p = 0; p < kh; p++)
          for (let q = 0; q < kw; q++) {
            const r = i * sh - ph + p * dh;
            const s = j * sw - pw + q * dw;
            if (r < 0 || r >= h || s < 0 || s >= w) continue;
            const pixel = ((b * h + r) * w + s) * channels;
            for (let o = 0; o < out; o++) {
              const group = Math.floor(o / (out / groups));
              f(((b * outH + i) * outW + j) * out + o, pixel + group * depth, ((o * kh + p) * kw + q) * depth, depth);
            }
          }
}

/** Adds the convolution to what y holds. */
export function correlate(x: RefArray, weight: RefArray, y: RefArray, geometry: Geometry): void {
  visitProducts(x.shape, weight.shape, y.shape, geometry, (at, from, filter, depth) => {
    let sum = y.data[at] as number;
    for (let c = 0; c < depth; c++) sum += (x.data[from + c] as number) * (weight.data[filter + c] as number);
    y.data[at] = sum;
  });
}
