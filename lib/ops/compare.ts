import { dtypes } from '../core/dtype.js';
import { defineOp, type OpCase } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, broadcastShapes } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { withOperand } from './number.js';
import { pointwise2 } from './pointwise.js';

const cases: readonly OpCase[] = [
  {
    inputs: {
      a: { shape: [4, 5], draw: 'index', below: 3 },
      b: { shape: [4, 5], draw: 'index', below: 3 },
    },
  },
  { inputs: { a: [2, 1, 4], b: [3, 1] } },
  { inputs: { a: [5, 7], b: [] } },
  { inputs: { a: [], b: [3] } },
  { inputs: { a: [0, 3], b: [3] } },
  {
    name: 'special values',
    inputs: {
      a: { shape: [7], values: [NaN, NaN, 1, Infinity, -Infinity, 0, Infinity] },
      b: { shape: [7], values: [NaN, 1, NaN, Infinity, Infinity, -0, 1] },
    },
    dtypes: ['f32', 'bf16'],
  },
  {
    name: 'shapes that do not broadcast',
    inputs: { a: [2, 3], b: [4] },
    refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [4]' },
  },
  { name: 'bench', inputs: { a: [1 << 20], b: [1 << 20] }, bench: true },
];

/** What all comparisons share: two of one dtype in, u8 out, no gradient. */
function comparison(name: string, holds: (a: number, b: number) => boolean) {
  return {
    name,
    inputs: { a: 'const', b: 'const' },
    outputs: { y: 'const' },
    types: dtypes,
    outputTypes: { y: 'u8' },
    cast: 'widest',
    shapes: ({ a, b }: { a: Shape; b: Shape }) => ({ y: broadcastShapes(name, a, b) }),
    reference: pointwise2((a, b) => Number(holds(a, b))),
    cases,
  } as const;
}

export const eqOp = defineOp(comparison('eq', (a, b) => a === b));
/** 1 where `a = b`, else 0, as u8, broadcasting; `b` may be a number. NaN equals nothing. No gradient. */
export function eq(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('eq', b, a, (t) => run(eqOp, { a, b: t }, {}).y as Tensor<'u8'>);
}

export const neOp = defineOp(comparison('ne', (a, b) => a !== b));
/** 1 where `a != b`, else 0, as u8, broadcasting; `b` may be a number. True where either is NaN. No gradient. */
export function ne(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('ne', b, a, (t) => run(neOp, { a, b: t }, {}).y as Tensor<'u8'>);
}

export const ltOp = defineOp(comparison('lt', (a, b) => a < b));
/** 1 where `a < b`, else 0, as u8, broadcasting; `b` may be a number. False where either is NaN. No gradient. */
export function lt(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('lt', b, a, (t) => run(ltOp, { a, b: t }, {}).y as Tensor<'u8'>);
}

export const leOp = defineOp(comparison('le', (a, b) => a <= b));
/** 1 where `a <= b`, else 0, as u8, broadcasting; `b` may be a number. False where either is NaN. No gradient. */
export function le(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('le', b, a, (t) => run(leOp, { a, b: t }, {}).y as Tensor<'u8'>);
}

export const gtOp = defineOp(comparison('gt', (a, b) => a > b));
/** 1 where `a > b`, else 0, as u8, broadcasting; `b` may be a number. False where either is NaN. No gradient. */
export function gt(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('gt', b, a, (t) => run(gtOp, { a, b: t }, {}).y as Tensor<'u8'>);
}

export const geOp = defineOp(comparison('ge', (a, b) => a >= b));
/** 1 where `a >= b`, else 0, as u8, broadcasting; `b` may be a number. False where either is NaN. No gradient. */
export function ge(a: Tensor, b: Tensor | number): Tensor<'u8'> {
  return withOperand('ge', b, a, (t) => run(geOp, { a, b: t }, {}).y as Tensor<'u8'>);
}
