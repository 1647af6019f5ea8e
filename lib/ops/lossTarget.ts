// What the losses share: how a target fits its input, and how the losses of the rows become one.
import { SecateurError } from '../core/errors.js';
import type { RefArray } from '../core/op.js';
import { type Shape, sameShape, shapeError, showShape } from '../core/shape.js';

/** `mean` and `sum` give a scalar; `none` a loss for every row or element. */
export type Reduction = 'mean' | 'sum' | 'none';
export const reduction = ['mean', 'sum', 'none'] as const;

/** Shape of the loss of `each`: one a row (or element), or a scalar. */
export function lossShape(each: Shape, how: Reduction): Shape {
  return how === 'none' ? each : [];
}

/** Refuses scores and class numbers that do not fit: `x [..., classes]`, `target [...]`, `weight [classes]`. */
export function checkClasses(op: string, x: Shape, target: Shape, weight: Shape | undefined): void {
  if (x.length === 0) throw shapeError(op, 'a scalar', '[..., classes]');
  if (!sameShape(x.slice(0, -1), target)) {
    throw shapeError(
      op,
      `targets ${showShape(target)} for ${showShape(x)}`,
      `one target a row: ${showShape(x.slice(0, -1))}`,
    );
  }
  const classes = x[x.length - 1] as number;
  if (weight !== undefined && (weight.length !== 1 || weight[0] !== classes))
    throw shapeError(op, `class weights ${showShape(weight)}`, `[${classes}]`);
}

/** Refuses a target of another shape. */
export function checkSameShape(op: string, x: Shape, target: Shape): void {
  if (!sameShape(x, target))
    throw shapeError(op, `shapes ${showShape(x)} and ${showShape(target)}`, 'equal shapes: nothing is broadcast');
}

/** The class of a row, or undefined where the row is not scored. Refuses what is no class. */
export function classOf(
  op: string,
  target: RefArray,
  row: number,
  classes: number,
  ignore: number,
): number | undefined {
  const y = target.data[row] as number;
  if (y === ignore) return undefined;
  if (y < 0 || y >= classes) {
    throw new SecateurError(
      'ERR_KERNEL',
      `${op}: the target of row ${row} is ${y}; needs a class from 0 to ${classes - 1}, or ignoreIndex (${ignore}).`,
      { row, target: y, classes },
    );
  }
  return y;
}
