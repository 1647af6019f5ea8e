import { type FloatDType, isFloat } from '../core/dtype.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { refusePromise } from '../core/lifetime.js';
import type { AnyOp } from '../core/op.js';
import type { AnyInputs } from '../core/checkInputs.js';
import { packing } from '../core/memory.js';
import { slots } from '../core/run.js';
import { type Tensor, enter, swapOwner } from '../core/tensor.js';
import { cast, castOp } from '../ops/cast.js';
import { noGrad } from './tape.js';

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

const nothing = {};

/**
 * The bf16 values of a tensor that lasts, made once for each of its versions. Every use is a cast of its own to the tape,
 * so that gradients of several uses are added in f32, as without the copy.
 */
function lowCopyOf(x: Tensor): Tensor {
  const { stamp } = x.cell;
  let kept = x.lowCopy;
  if (kept?.stamp !== stamp || kept.version !== stamp.version) {
    x.dropCopy();
    const outer = swapOwner(undefined);
    try {
      kept = { copy: noGrad(() => cast(x, 'bf16')), stamp, version: stamp.version };
    } finally {
      swapOwner(outer);
    }
    x.lowCopy = kept;
  }
  const y = kept.copy.share();
  enter(y);
  const call = { op: castOp as unknown as AnyOp, inputs: { x }, outputs: { y }, attrs: { dtype: 'bf16' } };
  slots.record?.({ ...call, scalars: nothing, random: { seed: 0, position: 0 } });
  return y;
}

function castTo(x: Tensor, to: FloatDType): Tensor {
  if (!isFloat(x.dtype) || x.dtype === to) return x;
  if (to === 'bf16' && x.lasts && x.device === 'cpu' && packing.on) return lowCopyOf(x);
  return cast(x, to);
}

function castInputs(op: AnyOp, inputs: AnyInputs): AnyInputs {
  const to = wanted(op, inputs);
  if (to === undefined) return inputs;
  const out: Record<string, Tensor | readonly Tensor[] | undefined> = {};
  const convert = (t: Tensor): Tensor => castTo(t, to);
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
 * parameters once for each version, and gradients cast back), while parameters, optimizer state and pruning thresholds stay f32. Each op's declaration
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
