// What reductions over axes have in common.
import { SecateurError } from '../core/errors.js';
import type { OpCase } from '../core/op.js';
import { type Shape, needShape, normalAxis, shapeError, showShape, sizeOf } from '../core/shape.js';
import { broadcastIndex } from './pointwise.js';

export interface ReductionOptions {
  /** The axis or axes to reduce; negative ones count from the back. Default: all. */
  dim?: number | readonly number[];
  /** Keep reduced axes with extent 1 (default false). */
  keepdim?: boolean;
}

/** The attributes that say which axes are reduced; an empty list of axes stands for all. */
export const axisAttrs = { dim: 'ints', keepdim: 'bool' } as const;

interface Axes {
  readonly dim: readonly number[];
  readonly keepdim: boolean;
}

/** A caller's options as attributes. */
export function axesOf({ dim, keepdim }: ReductionOptions): Axes {
  return { dim: dim === undefined ? [] : typeof dim === 'number' ? [dim] : dim, keepdim: keepdim ?? false };
}

function reducedAxes(op: string, x: Shape, dim: readonly number[]): Set<number> {
  if (dim.length === 0) return new Set(x.keys());
  const axes = new Set(dim.map((d) => normalAxis(op, d, x.length)));
  if (axes.size !== dim.length) {
    throw new SecateurError('ERR_ARGUMENT', `${op}: dim [${dim.join(', ')}] names an axis twice.`, { op, dim });
  }
  return axes;
}

/** The shape with every reduced axis 1. */
export function keptShape(op: string, x: Shape, dim: readonly number[]): Shape {
  const axes = reducedAxes(op, x, dim);
  return x.map((n, i) => (axes.has(i) ? 1 : n));
}

/** The shape of the output. ERR_ARGUMENT when an axis is not there or named twice. */
export function reducedShape(op: string, x: Shape, { dim, keepdim }: Axes): Shape {
  if (keepdim) return keptShape(op, x, dim);
  const axes = reducedAxes(op, x, dim);
  return x.filter((_, i) => !axes.has(i));
}

/** Refuses what is not the shape of `x` reduced over `dim`, its reduced axes kept or not; what is absent fits. */
export function needReduced(op: string, name: string, came: Shape | undefined, x: Shape, dim: readonly number[]): void {
  if (came !== undefined) needShape(op, name, came, reducedShape(op, x, { dim, keepdim: came.length === x.length }));
}

/** As `reducedShape`, for what has no value over nothing, like a maximum. */
export function reducedShapeOfSome(op: string, x: Shape, axes: Axes): Shape {
  const y = reducedShape(op, x, axes);
  if (sizeOf(x) === 0 && sizeOf(y) > 0) {
    throw shapeError(op, `shape ${showShape(x)}`, 'at least one element in every axis that is reduced');
  }
  return y;
}

/** How many elements go into each output. */
export function termsOf(op: string, x: Shape, dim: readonly number[]): number {
  const axes = reducedAxes(op, x, dim);
  return sizeOf(x.filter((_, i) => axes.has(i)));
}

/** Maps a flat index of `x` to the flat index of the output that it goes into. */
export function outputIndex(op: string, x: Shape, dim: readonly number[]): (i: number) => number {
  return broadcastIndex(keptShape(op, x, dim), x);
}

/** Inputs and axes that every reduction must get right: inner, outer, middle and alternating axes, long and odd ones. */
export const reductionCases: readonly OpCase[] = [
  { inputs: { x: [3, 5] }, attrs: { dim: [], keepdim: false } },
  { inputs: { x: [3, 5] }, attrs: { dim: [-1], keepdim: false } },
  { inputs: { x: [3, 5] }, attrs: { dim: [0], keepdim: true } },
  { inputs: { x: [2, 3, 4, 5] }, attrs: { dim: [0, 1, 2], keepdim: false } },
  { inputs: { x: [2, 3, 4, 5] }, attrs: { dim: [0, 2], keepdim: true } },
  { inputs: { x: [2, 3, 4, 5] }, attrs: { dim: [3, 1], keepdim: false } },
  { inputs: { x: [] }, attrs: { dim: [], keepdim: false }, grad: false },
  { inputs: { x: [0, 3] }, attrs: { dim: [1], keepdim: false } },
  { name: 'long runs', inputs: { x: [2, 40007] }, attrs: { dim: [1], keepdim: false }, grad: false },
  { name: 'many runs', inputs: { x: [33, 2, 67] }, attrs: { dim: [2], keepdim: false }, grad: false },
  { name: 'many rows', inputs: { x: [2003, 43] }, attrs: { dim: [0], keepdim: false }, grad: false },
  { name: 'wide rows', inputs: { x: [3, 31, 1501] }, attrs: { dim: [1], keepdim: false }, grad: false },
  { name: 'runs in rows', inputs: { x: [1000, 2, 41] }, attrs: { dim: [0, 2], keepdim: false }, grad: false },
  {
    name: 'an axis that is not there',
    inputs: { x: [3, 5] },
    attrs: { dim: [2], keepdim: false },
    refuses: { code: 'ERR_ARGUMENT', says: 'axis 2 is outside' },
  },
  {
    name: 'an axis twice',
    inputs: { x: [3, 5] },
    attrs: { dim: [1, -1], keepdim: false },
    refuses: { code: 'ERR_ARGUMENT', says: 'twice' },
  },
];

/** The same cases with further attributes. */
export function withAttrs(cases: readonly OpCase[], more: Readonly<Record<string, unknown>>): OpCase[] {
  return cases.map((one) => ({ ...one, attrs: { ...one.attrs, ...more } }));
}
