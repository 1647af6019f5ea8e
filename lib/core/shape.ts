import { SecateurError } from './errors.js';

/** Extents of a tensor, outermost first. `[]` is a scalar; an extent may be 0. */
export type Shape = readonly number[];

const maxRank = 6;

export function sizeOf(shape: Shape): number {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i] as number;
  return n;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** Refuses extents that are not whole numbers >= 0, and ranks above 6. */
export function checkShape(where: string, shape: Shape): void {
  if (!Array.isArray(shape) || shape.length > maxRank || !shape.every((d) => Number.isSafeInteger(d) && d >= 0)) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `${where}: ${JSON.stringify(shape)} is not a shape; give at most ${maxRank} whole numbers, each 0 or more.`,
      { shape },
    );
  }
}

/** A shape error: which op, what came, what was needed. */
export function shapeError(op: string, came: string, needed: string): SecateurError {
  return new SecateurError('ERR_SHAPE_MISMATCH', `${op}: got ${came}; needs ${needed}.`, { op, came, needed });
}

/** Refuses an input whose shape is not the one needed; one that is absent fits. */
export function needShape(op: string, name: string, came: Shape | undefined, needed: Shape): void {
  if (came !== undefined && !sameShape(came, needed))
    throw shapeError(op, `${name} of shape ${showShape(came)}`, showShape(needed));
}

/** The shape two operands broadcast to: aligned at the last axis, extents equal or 1 (NumPy's rule). */
export function broadcastShapes(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw shapeError(
        op,
        `shapes ${showShape(a)} and ${showShape(b)}`,
        'extents that are equal or 1, aligned at the last axis',
      );
    }
    out[i] = x === 1 ? y : x;
  }
  return out;
}

/** An axis counted from the front; negative ones count from the back, as in NumPy and PyTorch. */
export function normalAxis(op: string, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= Math.max(rank, 1)) {
    throw new SecateurError('ERR_ARGUMENT', `${op}: axis ${axis} is outside a tensor of rank ${rank}.`, {
      op,
      axis,
      rank,
    });
  }
  return at;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i] as number;
  }
  return strides;
}
