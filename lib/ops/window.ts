import { SecateurError } from '../core/errors.js';
import { type Shape, needShape, sameShape, shapeError, showShape } from '../core/shape.js';

/** A number for both image axes, or one for each: `[height, width]`. */
export type Pair = number | readonly [number, number];

/** A `Pair` as two whole numbers, each at least `least`. */
export function pairOf(op: string, name: string, value: Pair, least: number): readonly [number, number] {
  const pair: readonly [number, number] = typeof value === 'number' ? [value, value] : value;
  const whole = (n: unknown): boolean => typeof n === 'number' && Number.isSafeInteger(n) && n >= least;
  if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(whole)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `${op}: ${name} is ${JSON.stringify(value)}; give a whole number of at least ${least}, or [height, width].`,
      { op, name, value },
    );
  }
  return pair;
}

/** A window that slides along the two image axes of `[N, H, W, C]`. */
export interface Sliding {
  readonly kernel: Shape;
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation?: readonly number[];
  readonly ceilMode?: boolean;
}

/** Height and width of what a sliding window gives. With `ceilMode` a last window may hang over, if it starts inside. */
export function slidingExtents(op: string, x: Shape, window: Sliding): [number, number] {
  const extents = [0, 1].map((axis) => {
    const size = x[1 + axis] as number;
    const stride = window.stride[axis] as number;
    const padding = window.padding[axis] as number;
    const reach = ((window.kernel[axis] as number) - 1) * (window.dilation?.[axis] ?? 1) + 1;
    const room = size + 2 * padding - reach;
    if (size < 1 || room < 0) {
      throw shapeError(
        op,
        `${axis === 0 ? 'height' : 'width'} ${size} with padding ${padding} in ${showShape(x)}`,
        `at least the kernel's reach, ${reach}`,
      );
    }
    if (window.ceilMode !== true) return Math.floor(room / stride) + 1;
    const count = Math.ceil(room / stride) + 1;
    return (count - 1) * stride >= size + padding ? count - 1 : count;
  });
  return extents as [number, number];
}

/** Refuses what is not `[N, H, W, C]`. */
export function checkImages(op: string, x: Shape): void {
  if (x.length !== 4) throw shapeError(op, `shape ${showShape(x)}`, 'four axes, [N, H, W, C]');
}

/** Refuses a gradient `g` that no pooling of images of shape `x` can have, with `ceilMode` or without. */
export function checkPooled(op: string, x: Shape, g: Shape, window: Sliding): void {
  checkImages(op, x);
  const pooled = (ceilMode: boolean): Shape => [
    x[0] as number,
    ...slidingExtents(op, x, { ...window, ceilMode }),
    x[3] as number,
  ];
  if (!sameShape(g, pooled(true))) needShape(op, 'g', g, pooled(false));
}

export interface PoolOptions {
  /** Step of the window (default: the kernel size). */
  stride?: Pair;
  /** Border on each side, at most half the kernel (default 0). */
  padding?: Pair;
  /** Count a last window that hangs over the border, if it starts inside (default false). */
  ceilMode?: boolean;
}

/** The options of a pooling function as attributes of its op. */
export function poolWindow(
  op: string,
  kernelSize: Pair,
  options: PoolOptions,
): { kernel: readonly number[]; stride: readonly number[]; padding: readonly number[]; ceilMode: boolean } {
  const kernel = pairOf(op, 'kernelSize', kernelSize, 1);
  const stride = pairOf(op, 'stride', options.stride ?? kernelSize, 1);
  const padding = pairOf(op, 'padding', options.padding ?? 0, 0);
  if (padding[0] * 2 > kernel[0] || padding[1] * 2 > kernel[1]) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `${op}: padding ${JSON.stringify(padding)} is more than half of the kernel ${JSON.stringify(kernel)}; then a window could lie wholly in the border. Use less.`,
      { op, padding, kernel },
    );
  }
  return { kernel, stride, padding, ceilMode: options.ceilMode ?? false };
}
