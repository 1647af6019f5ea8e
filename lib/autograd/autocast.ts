import { type FloatDType, isFloat } from '../core/dtype.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { refusePromise } from '../core/lifetime.js';
import type { AnyOp } from '../core/op.js';
import type { AnyInputs } from '../core/checkInputs.js';
import { slots } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { cast } from '../ops/cast.js';

/** The dtype that an op's policy asks for, given its float inputs; undefined: leave them. */
function wanted(op: AnyOp, inputs: AnyInputs): FloatDType | undefined {
  if (op.cast === 'low') return 'bf16';
  if (op.cast === 'f32') return 'f32';
  if (op.cast !== 'widest') return undefined;
  const floats = Object.values(inputs)
    .flat()
    .filter((t): t is Tensor => t !== undefined && isFloat(t.dtype));
  return floats.some((t) => t.dtype === 'f32') ? 'f32' : 'bf16';
}

function castInputs(op: AnyOp, inputs: AnyInputs): AnyInputs {
  const to = wanted(op, inputs);
  if (to === undefined) return inputs;
  const out: Record<string, Tensor | readonly Tensor[] | undefined> = {};
  const convert = (t: Tensor): Tensor => (isFloat(t.dtype) && t.dtype !== to ? cast(t, to) : t);
  for (const { name, list, inout, type } of op.plan.inputs) {
    const value = inputs[name];
    // Only inputs whose dtype is free may change, and never what is overwritten.
    if (value === undefined || inout || type !== 'T') out[name] = value;
    else out[name] = list ? (value as readonly Tensor[]).map(convert) : convert(value as Tensor);
  }
  return out;
}

/**
 * Runs a synchronous function with matrix products and convolutions in bf16 (their f32 inputs are cast on the way in,
 * and gradients cast back), while parameters, optimizer state and pruning thresholds stay f32. Each op's declaration
 * says what it takes.
 *
 * @throws ERR_DTYPE for a dtype other than bf16, ERR_SCOPE when `fn` returns a promise
 */
export function autocast<T>(options: { dtype?: FloatDType; enabled?: boolean }, fn: () => T): T {
  checkOptions('autocast', options, ['dtype', 'enabled']);
  const dtype = options.dtype ?? 'bf16';
  if (dtype !== 'bf16')
    throw new SecateurError('ERR_DTYPE', `autocast: ${dtype} is not a lower precision; needs bf16.`);
  const before = slots.cast;
  slots.cast = options.enabled === false ? undefined : castInputs;
  try {
    const value = fn();
    refusePromise('autocast', value);
    return value;
  } finally {
    slots.cast = before;
  }
}

/** Whether autocast is in force. */
export function isAutocast(): boolean {
  return slots.cast !== undefined;
}
