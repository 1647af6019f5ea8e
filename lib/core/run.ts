import { type DType, dtypeCode, roundTo } from './dtype.js';
import { type AnyInputs, checkInputs, deviceOfInputs, outputType } from './checkInputs.js';
import { type Device, deviceCode } from './device.js';
import { SecateurError, didYouMean } from './errors.js';
import { asSecateurError, native } from './native.js';
import type {
  AnyOp,
  AttrKinds,
  AttrValues,
  InputKinds,
  InputTensors,
  Into,
  Op,
  OutputKinds,
  Outputs,
  RefArray,
  ScalarKinds,
  ScalarValues,
} from './op.js';
import { type RandomState, reserveRandom } from './random.js';
import { type Shape, sameShape, showShape, sizeOf } from './shape.js';
import { Cell, type Stamp, Tensor, enter, flushReleases } from './tensor.js';

/** What the tape is told of a call. */
export interface Call {
  readonly op: AnyOp;
  readonly inputs: AnyInputs;
  readonly outputs: Record<string, Tensor | undefined>;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly scalars: Readonly<Record<string, unknown>>;
  readonly random: RandomState;
}

/** A call that is about to go to a device. `outputs` is filled by it. */
export interface DeviceCall extends Call {
  readonly outputs: Record<string, Tensor | undefined>;
  readonly outShapes: Readonly<Record<string, Shape | null>>;
  readonly into: Tensor | undefined;
  readonly accumulate: boolean;
}

/** Stands between the calls and the GPU while a step is captured or replayed (capture.ts). */
export interface Recorder {
  call(call: DeviceCall, toDevice: () => void): void;
  view(x: Tensor, shape: Shape, offset: number, stamp: Stamp, make: () => Tensor): Tensor;
}

/** Slots that layers above fill: autograd's recorder, autocast's choice of input dtypes, and the ops that move results into place. */
export const slots: {
  record: ((call: Call) => void) | undefined;
  /** Whether a call with these inputs would be recorded: only then is it worth keeping something for backward. */
  wouldRecord: ((inputs: readonly (Tensor | undefined)[]) => boolean) | undefined;
  cast: ((op: AnyOp, inputs: AnyInputs) => AnyInputs) | undefined;
  add: ((into: Tensor, term: Tensor) => void) | undefined;
  /** Sees every call: counting operations, tracing. */
  observe: ((call: Call) => void) | undefined;
  recorder: Recorder | undefined;
} = {
  record: undefined,
  wouldRecord: undefined,
  cast: undefined,
  add: undefined,
  observe: undefined,
  recorder: undefined,
};

export interface RunOptions<C> extends Into {
  readonly scalars?: ScalarValues<C>;
  /** A fixed range of random words (a replay); default: reserve a new one. */
  readonly random?: RandomState;
}

const noRandom: RandomState = { seed: 0, position: 0 };
const empty: Readonly<Record<string, unknown>> = {};
let ids: Map<string, number> | undefined;

/** The op's number in the native table. */
function nativeId(op: AnyOp): number {
  ids ??= new Map(native.ops().map((name, i) => [name, i]));
  const id = ids.get(op.name);
  if (id === undefined) {
    throw new SecateurError(
      'ERR_NO_KERNEL',
      `${op.name}: the native part does not know this op. Rebuild it: npm run build.`,
      { op: op.name },
    );
  }
  op.plan.id = id;
  return id;
}

/**
 * Runs an op on its inputs' device and gives its outputs. Everything is checked before anything is computed.
 *
 * @throws ERR_DTYPE, ERR_DEVICE, ERR_SHAPE_MISMATCH, ERR_DISPOSED, ERR_OOM
 */
export function run<
  I extends InputKinds,
  O extends OutputKinds,
  A extends AttrKinds,
  C extends ScalarKinds,
  S extends keyof I | keyof O,
>(op: Op<I, O, A, C, S>, inputs: InputTensors<I>, attrs: AttrValues<A>, options?: RunOptions<C>): Outputs<O, Tensor> {
  return runAny(
    op as unknown as AnyOp,
    inputs as AnyInputs,
    attrs as Record<string, unknown>,
    options as RunOptions<ScalarKinds>,
  ) as unknown as Outputs<O, Tensor>;
}

// The device of creation ops, which have no input to tell it.
let creationDevice: Device = 'cpu';
/** Runs a creation op (one with no inputs) on a device. */
export function onDevice<R>(where: Device, make: () => R): R {
  const before = creationDevice;
  creationDevice = where;
  try {
    return make();
  } finally {
    creationDevice = before;
  }
}

export function runAny(
  op: AnyOp,
  given: AnyInputs,
  attrs: Readonly<Record<string, unknown>>,
  options?: RunOptions<ScalarKinds>,
): Record<string, Tensor | undefined> {
  const inputs = slots.cast === undefined ? given : slots.cast(op, given);
  const inShapes = checkInputs(op, inputs);
  const where: Device = deviceOfInputs() ?? creationDevice;
  const scalars = (options?.scalars ?? empty) as Record<string, unknown>;
  const outShapes = op.shapes(inShapes as never, attrs as never, scalars as never) as Record<string, Shape | null>;
  const random =
    options?.random ??
    (op.random === undefined ? noRandom : reserveRandom(op.random(inShapes as never, attrs as never)));
  const outputs: Record<string, Tensor | undefined> = {};
  let into = options?.into;
  const accumulate = options?.accumulate === true;
  const first = op.plan.outputs[0];
  if (into !== undefined && first !== undefined) {
    const need = outShapes[first.name] as Shape;
    const type = outputType(op, first.type, inputs, attrs);
    if (into.disposed) into.alive(op.name);
    if (!sameShape(into.shape, need) || into.dtype !== type || into.device !== where) {
      throw new SecateurError(
        'ERR_SHAPE_MISMATCH',
        `${op.name}: 'into' is ${into.dtype} ${showShape(into.shape)} on ${into.device}; needs ${type} ${showShape(need)} on ${where}.`,
        { op: op.name },
      );
    }
    if (accumulate && !op.accumulates) into = undefined;
  }
  try {
    if (op.view !== undefined) makeView(op, inputs, attrs, inShapes, outShapes, outputs);
    else if (where === 'ref') callReference(op, inputs, attrs, scalars, random, outShapes, outputs, into, accumulate);
    else if (slots.recorder === undefined || where !== 'cuda')
      callNative(op, where, inputs, attrs, scalars, random, outShapes, outputs, into, accumulate);
    else {
      slots.recorder.call({ op, inputs, attrs, scalars, random, outShapes, outputs, into, accumulate }, () => {
        callNative(op, where, inputs, attrs, scalars, random, outShapes, outputs, into, accumulate);
      });
    }
  } catch (error) {
    throw asSecateurError(error);
  }
  for (const input of op.plan.inputs) {
    if (!input.inout) continue;
    const value = inputs[input.name];
    if (value !== undefined)
      for (const t of input.list ? (value as readonly Tensor[]) : [value as Tensor]) written(t, op.name);
  }
  if (into !== undefined) written(into, op.name);
  if (slots.record !== undefined) slots.record({ op, inputs, outputs, attrs, scalars, random });
  if (slots.observe !== undefined) slots.observe({ op, inputs, outputs, attrs, scalars, random });
  if (accumulate && into === undefined && first !== undefined) {
    const term = outputs[first.name] as Tensor;
    const target = options?.into as Tensor;
    slots.add?.(target, term);
    term.dispose();
    outputs[first.name] = target;
  }
  return outputs;
}

function makeView(
  op: AnyOp,
  inputs: AnyInputs,
  attrs: Readonly<Record<string, unknown>>,
  inShapes: Record<string, Shape | readonly Shape[] | undefined>,
  outShapes: Record<string, Shape | null>,
  outputs: Record<string, Tensor | undefined>,
): void {
  const x = inputs[(op.plan.inputs[0] as { name: string }).name] as Tensor;
  const { name } = op.plan.outputs[0] as { name: string };
  outputs[name] = viewOf(x, outShapes[name] as Shape, op.view?.(inShapes as never, attrs as never) ?? 0);
}

/** A tensor over part of another's storage, from element `offset` on. Its versions are the whole's unless it gets a stamp of its own. */
export function viewOf<D extends DType>(
  x: Tensor<D>,
  shape: Shape,
  offset: number,
  stamp: Stamp = x.cell.stamp,
): Tensor<D> {
  x.cell.stamp.viewed = true;
  const values = x.cell.values;
  if (values !== undefined)
    return adoptTensor(
      0,
      values.subarray(offset, offset + sizeOf(shape)),
      x.dtype,
      shape,
      x.device,
      stamp,
    ) as Tensor<D>;
  if (slots.recorder !== undefined && x.device === 'cuda')
    return slots.recorder.view(x, shape, offset, stamp, () => nativeView(x, shape, offset, stamp)) as Tensor<D>;
  return nativeView(x, shape, offset, stamp);
}

function nativeView<D extends DType>(x: Tensor<D>, shape: Shape, offset: number, stamp: Stamp): Tensor<D> {
  flushReleases();
  const block = native.block;
  block[0] = shape.length;
  for (let i = 0; i < shape.length; i++) block[i + 1] = shape[i] as number;
  return adoptTensor(native.view(x.cell.handle, offset), undefined, x.dtype, shape, x.device, stamp) as Tensor<D>;
}

function written(t: Tensor, by: string): void {
  t.cell.stamp.version++;
  t.cell.stamp.writer = by;
}

/** A new tensor over a fresh handle or array. */
export function adoptTensor(
  handle: number,
  values: Float64Array | undefined,
  dtype: DType,
  shape: Shape,
  where: Device,
  stamp: Stamp = { version: 0, writer: '', viewed: false },
): Tensor {
  const t = new Tensor(new Cell(handle, values, stamp), dtype, shape, where);
  enter(t);
  return t;
}

function callNative(
  op: AnyOp,
  where: Device,
  inputs: AnyInputs,
  attrs: Readonly<Record<string, unknown>>,
  scalars: Readonly<Record<string, unknown>>,
  random: RandomState,
  outShapes: Record<string, Shape | null>,
  outputs: Record<string, Tensor | undefined>,
  into: Tensor | undefined,
  accumulate: boolean,
): void {
  flushReleases();
  const plan = op.plan;
  const id = plan.id >= 0 ? plan.id : nativeId(op);
  const block = native.block;
  let at = 0;
  for (const input of plan.inputs) {
    const value = inputs[input.name];
    if (input.list) {
      const list = value as readonly Tensor[];
      block[at++] = list.length;
      if (at + list.length > block.length - 256) throw tooLong(op, list.length);
      for (let i = 0; i < list.length; i++) block[at++] = (list[i] as Tensor).cell.handle;
    } else block[at++] = value === undefined ? 0 : (value as Tensor).cell.handle;
  }
  for (const attr of plan.attrs) at = putAttr(op, block, at, attr.name, attr.kind, attrs[attr.name]);
  for (const scalar of plan.scalars)
    at = putAttr(op, block, at, scalar.name, scalar.kind === 'floats' ? 'ints' : scalar.kind, scalars[scalar.name]);
  if (op.random !== undefined) {
    block[at++] = random.seed;
    block[at++] = random.position;
  }
  block[at++] = accumulate && into !== undefined ? 1 : 0;
  const outAt = at;
  for (const output of plan.outputs) {
    const shape = outShapes[output.name] as Shape | null;
    if (shape === null) {
      block[at++] = 0;
      continue;
    }
    if (into !== undefined && at === outAt) {
      block[at++] = 2;
      block[at++] = into.cell.handle;
      continue;
    }
    block[at++] = 1;
    block[at++] = dtypeCode[outputType(op, output.type, inputs, attrs)];
    block[at++] = shape.length;
    for (let i = 0; i < shape.length; i++) block[at++] = shape[i] as number;
  }
  native.run(id, deviceCode(where));
  at = 0;
  for (const output of plan.outputs) {
    const shape = outShapes[output.name] as Shape | null;
    if (shape === null) continue;
    const handle = block[at++] as number;
    outputs[output.name] =
      into !== undefined && output === plan.outputs[0]
        ? into
        : adoptTensor(handle, undefined, outputType(op, output.type, inputs, attrs), shape, where);
  }
}

function tooLong(op: AnyOp, count: number): SecateurError {
  return new SecateurError(
    'ERR_ARGUMENT',
    `${op.name}: a list of ${count} entries is longer than one call can take (about ${native.block.length}). Split it.`,
    { op: op.name, count },
  );
}

function putAttr(op: AnyOp, block: Float64Array, at: number, name: string, kind: unknown, value: unknown): number {
  if (kind === 'ints') {
    const list = value as readonly number[];
    if (at + list.length > block.length - 256) throw tooLong(op, list.length);
    block[at++] = list.length;
    for (let i = 0; i < list.length; i++) block[at++] = list[i] as number;
    return at;
  }
  if (kind === 'int' || kind === 'float') {
    if (typeof value !== 'number')
      throw new SecateurError('ERR_ARGUMENT', `${op.name}: '${name}' must be a number, got ${String(value)}.`, {
        op: op.name,
        name,
      });
    block[at++] = value;
  } else if (kind === 'bool') block[at++] = value === true ? 1 : 0;
  else {
    const words = kind as readonly string[];
    const index = words.indexOf(value as string);
    if (index < 0)
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${op.name}: '${name}' cannot be '${String(value)}'; use one of ${words.join(', ')}.${didYouMean(String(value), words)}`,
        { op: op.name, name },
      );
    block[at++] = index;
  }
  return at;
}

function refArray(t: Tensor): RefArray {
  return { data: t.cell.values as Float64Array, shape: t.shape, dtype: t.dtype };
}

function callReference(
  op: AnyOp,
  inputs: AnyInputs,
  attrs: Readonly<Record<string, unknown>>,
  scalars: Readonly<Record<string, unknown>>,
  random: RandomState,
  outShapes: Record<string, Shape | null>,
  outputs: Record<string, Tensor | undefined>,
  into: Tensor | undefined,
  accumulate: boolean,
): void {
  const ins: Record<string, RefArray | RefArray[] | undefined> = {};
  for (const { name, list } of op.plan.inputs) {
    const value = inputs[name];
    ins[name] = list
      ? (value as readonly Tensor[]).map(refArray)
      : value === undefined
        ? undefined
        : refArray(value as Tensor);
  }
  const outs: Record<string, RefArray | undefined> = {};
  for (const output of op.plan.outputs) {
    const shape = outShapes[output.name] as Shape | null;
    if (shape === null) continue;
    const dtype = outputType(op, output.type, inputs, attrs);
    outs[output.name] = { data: new Float64Array(sizeOf(shape)), shape, dtype };
  }
  op.reference(ins as never, outs as never, attrs as never, scalars as never, random);
  for (const output of op.plan.outputs) {
    const out = outs[output.name];
    if (out === undefined) continue;
    if (out.dtype === 'i32' || out.dtype === 'u8')
      for (let i = 0; i < out.data.length; i++) out.data[i] = roundTo(out.dtype, out.data[i] as number);
    if (into !== undefined && output === op.plan.outputs[0]) {
      const target = into.cell.values as Float64Array;
      if (accumulate)
        for (let i = 0; i < target.length; i++) target[i] = (target[i] as number) + (out.data[i] as number);
      else target.set(out.data);
      outputs[output.name] = into;
    } else outputs[output.name] = adoptTensor(0, out.data, out.dtype, out.shape, 'ref');
  }
}
