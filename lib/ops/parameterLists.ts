import { SecateurError } from '../core/errors.js';
import type { RefArray } from '../core/op.js';
import { sameShape, shapeError, showShape, type Shape } from '../core/shape.js';

/** Refuses lists that do not match `w` entry by entry. A list of optional state may be empty. */
export function checkLists(
  op: string,
  w: readonly Shape[],
  lists: Readonly<Record<string, readonly Shape[]>>,
  optional: readonly string[] = [],
): void {
  for (const [name, list] of Object.entries(lists)) {
    if (list.length === 0 && optional.includes(name)) continue;
    if (list.length !== w.length)
      throw shapeError(op, `${list.length} tensors in '${name}' and ${w.length} in 'w'`, 'as many of each');
    list.forEach((shape, i) => {
      const need = w[i] as Shape;
      if (!sameShape(shape, need))
        throw shapeError(
          op,
          `'${name}[${i}]' of shape ${showShape(shape)}`,
          `${showShape(need)}, the shape of 'w[${i}]'`,
        );
    });
  }
}

/** The entries of a list of arrays one after the other: for definitions that treat every number by itself. */
export function eachEntry(w: readonly RefArray[], visit: (list: number, i: number) => void): void {
  w.forEach(({ data }, list) => {
    for (let i = 0; i < data.length; i++) visit(list, i);
  });
}

/** Entry i of array `list`. */
export function entry(arrays: readonly RefArray[], list: number, i: number): number {
  return (arrays[list] as RefArray).data[i] as number;
}
/** Sets entry i of array `list`. */
export function setEntry(arrays: readonly RefArray[], list: number, i: number, x: number): void {
  (arrays[list] as RefArray).data[i] = x;
}

/** Refuses a bound that is not above 0. */
export function checkMaxNorm(where: string, maxNorm: number): void {
  if (!(maxNorm > 0))
    throw new SecateurError('ERR_ARGUMENT', `${where}: maxNorm is ${maxNorm}; needs a number above 0.`, { maxNorm });
}
