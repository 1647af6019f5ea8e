import { dtypeBytes } from './dtype.js';
import type { Call } from './run.js';
import { slots } from './run.js';
import { type Shape, sizeOf } from './shape.js';
import type { Tensor } from './tensor.js';

/** The work of one call, as its declaration counts it. */
export interface Cost {
  readonly op: string;
  readonly flops: number;
  /** Bytes of all inputs and outputs, each moved once, unless the declaration knows better. */
  readonly bytes: number;
  readonly inputs: Call['inputs'];
}

/** Floating-point operations and bytes of a call. Without a `cost` in the declaration: one operation an output element. */
export function costOf({ op, inputs, outputs, attrs }: Call): Cost {
  const shapes: Record<string, Shape | readonly Shape[] | undefined> = {};
  let bytes = 0;
  let flops = 0;
  const move = (t: Tensor): Shape => {
    bytes += sizeOf(t.shape) * dtypeBytes[t.dtype];
    return t.shape;
  };
  for (const { name, list } of op.plan.inputs) {
    const value = inputs[name];
    shapes[name] = list
      ? (value as readonly Tensor[]).map(move)
      : value === undefined
        ? undefined
        : move(value as Tensor);
  }
  const outShapes: Record<string, Shape | undefined> = {};
  for (const { name } of op.plan.outputs) {
    const t = outputs[name];
    if (t === undefined) continue;
    outShapes[name] = move(t);
    flops += sizeOf(t.shape);
  }
  if (op.view !== undefined) return { op: op.name, flops: 0, bytes: 0, inputs };
  const declared = op.cost?.(shapes as never, outShapes as never, attrs as never);
  return { op: op.name, flops: declared?.flops ?? flops, bytes: declared?.bytes ?? bytes, inputs };
}

/** Runs `fn` and lists the cost of every op it calls, in order. */
export function countOperations<T>(fn: () => T): { value: T; costs: Cost[] } {
  const costs: Cost[] = [];
  const before = slots.observe;
  slots.observe = (call) => {
    costs.push(costOf(call));
    before?.(call);
  };
  try {
    return { value: fn(), costs };
  } finally {
    slots.observe = before;
  }
}
