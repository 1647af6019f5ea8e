import type { DType } from './dtype.js';
import type { Device } from './device.js';
import { SecateurError } from './errors.js';
import type { AnyOp } from './op.js';
import type { Shape } from './shape.js';
import { Tensor } from './tensor.js';

export type AnyInputs = Readonly<Record<string, Tensor | readonly Tensor[] | undefined>>;

// What the inputs of the call being checked agree on; a call is checked and dispatched before another one starts.
let T: DType | undefined;
let device: Device | undefined;

function checkTensor(op: AnyOp, name: string, rule: string, t: Tensor): void {
  if (!(t instanceof Tensor)) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `${op.name}: '${name}' must be a Tensor, got ${t === null ? 'null' : typeof t}. Make one with tensor(...).`,
      { op: op.name, input: name },
    );
  }
  if (t.disposed) t.alive(op.name);
  if (device === undefined) device = t.device;
  else if (t.device !== device) {
    throw new SecateurError(
      'ERR_DEVICE',
      `${op.name}: '${name}' is on ${t.device}, other inputs are on ${device}. Move one with .to(...).`,
      { op: op.name, input: name },
    );
  }
  if (rule === 'T') {
    if (T === undefined) {
      T = t.dtype;
      if (!op.plan.types.includes(T)) {
        throw new SecateurError(
          'ERR_DTYPE',
          `${op.name}: '${name}' is ${T}; needs ${op.plan.types.join(' or ')}. Convert with .cast(...).`,
          { op: op.name, input: name, dtype: T },
        );
      }
    } else if (t.dtype !== T) {
      throw new SecateurError(
        'ERR_DTYPE',
        `${op.name}: '${name}' is ${t.dtype} where other inputs are ${T}; dtypes are never promoted. Convert one with .cast(...).`,
        { op: op.name, input: name },
      );
    }
  } else if (rule !== 'any' && t.dtype !== rule) {
    throw new SecateurError(
      'ERR_DTYPE',
      `${op.name}: '${name}' is ${t.dtype}; needs ${rule}. Convert with .cast('${rule}').`,
      { op: op.name, input: name },
    );
  }
}

/**
 * Checks the inputs of a call and gives their shapes.
 *
 * @throws ERR_ARGUMENT, ERR_DISPOSED, ERR_DEVICE, ERR_DTYPE
 */
export function checkInputs(op: AnyOp, inputs: AnyInputs): Record<string, Shape | readonly Shape[] | undefined> {
  T = undefined;
  device = undefined;
  const shapes: Record<string, Shape | readonly Shape[] | undefined> = {};
  for (const input of op.plan.inputs) {
    const value = inputs[input.name];
    if (input.list) {
      if (!Array.isArray(value))
        throw new SecateurError('ERR_ARGUMENT', `${op.name}: '${input.name}' must be a list of tensors.`, {
          op: op.name,
        });
      const all: Shape[] = [];
      for (const t of value as readonly Tensor[]) {
        checkTensor(op, input.name, input.type as string, t);
        all.push(t.shape);
      }
      shapes[input.name] = all;
    } else if (value === undefined && input.optional) {
      shapes[input.name] = undefined;
    } else {
      checkTensor(op, input.name, input.type as string, value as Tensor);
      shapes[input.name] = (value as Tensor).shape;
    }
  }
  return shapes;
}

/** The dtype of an output, given the inputs that were checked last. */
export function outputType(
  op: AnyOp,
  rule: AnyOp['plan']['outputs'][number]['type'],
  inputs: AnyInputs,
  attrs: Readonly<Record<string, unknown>>,
): DType {
  if (typeof rule !== 'function') return rule === 'T' ? (T ?? 'f32') : rule;
  const types: Record<string, DType | undefined> = {};
  for (const { name, list } of op.plan.inputs) {
    const v = inputs[name];
    types[name] = list ? (v as readonly Tensor[])[0]?.dtype : (v as Tensor | undefined)?.dtype;
  }
  return rule(types, attrs);
}

/** The device of the inputs that were checked last; undefined when there were none. */
export function deviceOfInputs(): Device | undefined {
  return device;
}
