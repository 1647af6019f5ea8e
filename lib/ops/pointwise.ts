import type { RefArray } from '../core/op.js';
import { type Shape, stridesOf } from '../core/shape.js';

/** The definition of a pointwise function: every element by itself. */
export function pointwise(f: (x: number) => number) {
  return ({ x }: { x: RefArray }, { y }: { y: RefArray }): void => {
    for (let i = 0; i < x.data.length; i++) y.data[i] = f(x.data[i] as number);
  };
}

/** The definition of a broadcasting pointwise function of two operands. */
export function pointwise2(f: (a: number, b: number) => number) {
  return ({ a, b }: { a: RefArray; b: RefArray }, { y }: { y: RefArray }): void => {
    const ia = broadcastIndex(a.shape, y.shape);
    const ib = broadcastIndex(b.shape, y.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = f(a.data[ia(i)] as number, b.data[ib(i)] as number);
  };
}

/** Maps a flat index of the broadcast shape to the flat index of an operand. */
export function broadcastIndex(from: Shape, to: Shape): (i: number) => number {
  const strides = stridesOf(from);
  const outer = stridesOf(to);
  const skip = to.length - from.length;
  return (i) => {
    let at = 0;
    for (let d = skip; d < to.length; d++) {
      if (from[d - skip] !== 1)
        at += (Math.floor(i / (outer[d] as number)) % (to[d] as number)) * (strides[d - skip] as number);
    }
    return at;
  };
}
