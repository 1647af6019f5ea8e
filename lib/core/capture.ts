// Captured steps: what a function asks of the GPU is recorded once, as a CUDA graph, and from then on launched as a whole.
//
// A replay runs the function again with the device left out. Every call is compared with the recorded one and answered
// with the tensors that the recording made; the numbers that have changed since (learning rate, temperature, step, k,
// position of the random numbers) are collected and go to the device with the one launch. So everything that JavaScript
// keeps (schedules, step counts, the tape, versions) moves on as in an ordinary step, no number can be stale, and a step
// that has become another one is refused by name instead of being replayed wrongly.
import { type AnyInputs, outputType } from './checkInputs.js';
import { isCapturing, setCapturing } from './capturing.js';
import type { DType } from './dtype.js';
import { checkDevice } from './device.js';
import { SecateurError } from './errors.js';
import { refusePromise } from './lifetime.js';
import { guarded, native } from './native.js';
import type { AnyOp } from './op.js';
import { type DeviceCall, type Recorder, adoptTensor, slots } from './run.js';
import { type Shape, sameShape } from './shape.js';
import { Cell, type Stamp, type Tensor, flushReleases } from './tensor.js';

/** Something a recorded call made. */
interface Made {
  readonly dtype: DType;
  readonly shape: Shape;
  /** While recording: its cell, without owning it. */
  cell: Cell | undefined;
  /** A second handle on what was still alive when the recording ended: only that can be seen from outside. */
  kept: Cell | undefined;
}

/** Where a tensor's elements are: what made the storage (outside the step: its cell), and how far in. */
interface Place {
  readonly root: Cell | Made;
  readonly offset: number;
}

/** One recorded call of an op, or (with no op) one view. */
interface Entry {
  readonly op: AnyOp | undefined;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly from: readonly (Place | undefined)[];
  readonly into: Place | undefined;
  readonly accumulate: boolean;
  readonly made: readonly Made[];
  /** The call's number on the device's side. */
  readonly number: number;
  /** Scalars and random range, as the device has them. */
  numbers: number[];
}

const places = new WeakMap<Cell, Place>();

function placeOf(t: Tensor): Place {
  return places.get(t.cell) ?? { root: t.cell, offset: 0 };
}

function samePlace(a: Place | undefined, b: Place | undefined): boolean {
  return a?.root === b?.root && a?.offset === b?.offset;
}

function inputPlaces(op: AnyOp, inputs: AnyInputs): (Place | undefined)[] {
  return op.plan.inputs.flatMap(({ name, list }): (Place | undefined)[] => {
    const value = inputs[name];
    if (list) return (value as readonly Tensor[]).map(placeOf);
    return [value === undefined ? undefined : placeOf(value as Tensor)];
  });
}

/** What `refresh` of the op's arguments reads: scalars in order, a list behind its length, then the random range. */
function numbersOf({ op, scalars, random }: DeviceCall): number[] {
  const out: number[] = [];
  for (const { name } of op.plan.scalars) {
    const value = scalars[name] as number | readonly number[];
    if (typeof value === 'number') out.push(value);
    else out.push(value.length, ...value);
  }
  if (op.random !== undefined) out.push(random.seed, random.position);
  return out;
}

function sameValue(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => x === b[i]);
  return Object.is(a, b);
}

class Recording implements Recorder {
  readonly #entries: Entry[] = [];
  #calls = 0;
  #replaying = false;
  // The next entry of a replay, what has changed, and the cells that stand for nothing.
  #at = 0;
  readonly #changed: { entry: Entry; numbers: number[] }[] = [];
  readonly #hollow: { cell: Cell; what: string }[] = [];
  #graph = 0;
  /** Launches and copies in the graph. */
  nodes = 0;

  call(call: DeviceCall, toDevice: () => void): void {
    const { op, inputs, attrs, outShapes, outputs, into, accumulate } = call;
    const from = inputPlaces(op, inputs);
    const target = into === undefined ? undefined : placeOf(into);
    const numbers = numbersOf(call);
    const first = op.plan.outputs[0];
    const results = op.plan.outputs.filter((o) => outShapes[o.name] !== null && !(into !== undefined && o === first));
    if (!this.#replaying) {
      toDevice();
      const made = results.map(({ name }) => this.#enter(outputs[name] as Tensor, undefined));
      const number = this.#calls++;
      this.#entries.push({ op, attrs, from, into: target, accumulate, made, number, numbers });
      return;
    }
    const entry = this.#next(op.name);
    const same =
      entry.op === op &&
      from.length === entry.from.length &&
      from.every((p, i) => samePlace(p, entry.from[i])) &&
      samePlace(target, entry.into) &&
      accumulate === entry.accumulate &&
      op.plan.attrs.every(({ name }) => sameValue(attrs[name], entry.attrs[name])) &&
      results.length === entry.made.length &&
      results.every(({ name }, i) => sameShape(outShapes[name] as Shape, entry.made[i]?.shape as Shape)) &&
      numbers.length === entry.numbers.length;
    if (!same) throw this.#differs(op.name, entry);
    if (!numbers.every((x, i) => Object.is(x, entry.numbers[i]))) this.#changed.push({ entry, numbers });
    if (into !== undefined && first !== undefined) outputs[first.name] = into;
    results.forEach(({ name, type }, i) => {
      outputs[name] = this.#answer(entry.made[i] as Made, outputType(op, type, inputs, attrs), undefined, op.name);
    });
  }

  view(x: Tensor, shape: Shape, offset: number, stamp: Stamp, make: () => Tensor): Tensor {
    const { root, offset: start } = placeOf(x);
    const place = { root, offset: start + offset };
    if (!this.#replaying) {
      const y = make();
      const made = [this.#enter(y, place)];
      const from = [place];
      this.#entries.push({
        op: undefined,
        attrs: {},
        from,
        into: undefined,
        accumulate: false,
        made,
        number: -1,
        numbers: [],
      });
      return y;
    }
    const entry = this.#next('view');
    const made = entry.made[0] as Made;
    if (entry.op !== undefined || !samePlace(place, entry.from[0]) || !sameShape(shape, made.shape))
      throw this.#differs('view', entry);
    const y = this.#answer(made, x.dtype, stamp, 'view');
    places.set(y.cell, place);
    return y;
  }

  #enter(t: Tensor, place: Place | undefined): Made {
    const made: Made = { dtype: t.dtype, shape: t.shape, cell: t.cell, kept: undefined };
    places.set(t.cell, place ?? { root: made, offset: 0 });
    return made;
  }

  /** What stands for a recorded tensor in a replay: a new handle on it, or nothing but a shape when nobody can see it. */
  #answer(made: Made, dtype: DType, stamp: Stamp | undefined, what: string): Tensor {
    const handle = made.kept === undefined ? 0 : viewHandle(made.kept.handle, made.shape);
    const y = adoptTensor(handle, undefined, dtype, made.shape, 'cuda', stamp);
    if (handle === 0) this.#hollow.push({ cell: y.cell, what });
    places.set(y.cell, { root: made, offset: 0 });
    return y;
  }

  #next(what: string): Entry {
    const entry = this.#entries[this.#at++];
    if (entry === undefined) throw this.#differs(what, undefined);
    return entry;
  }

  #differs(what: string, recorded: Entry | undefined): SecateurError {
    const was = recorded === undefined ? 'the end' : (recorded.op?.name ?? 'view');
    const how = was === what ? 'with other tensors, shapes or attributes' : `where ${was} was recorded`;
    return new SecateurError(
      'ERR_CAPTURE',
      `capture: call ${this.#at} of this step is ${what} ${how}. A captured step makes the same calls on the same tensors every time: write new inputs into the old ones (copy_, writeData), and capture anew where the step itself changes.`,
      { call: this.#at, op: what, recorded: was },
    );
  }

  /** Runs the step once with the device listening, then launches what it has heard. */
  record<T>(step: () => T): T {
    this.#graph = guarded(() => native.captureBegin());
    let value: T;
    try {
      value = this.#listen(step);
    } catch (error) {
      this.#abandon();
      throw error;
    }
    this.nodes = guarded(() => native.captureEnd());
    flushReleases();
    for (const { made } of this.#entries) {
      for (const m of made) {
        const { cell } = m;
        m.cell = undefined;
        if (cell === undefined || cell.refs === 0) continue;
        m.kept = new Cell(viewHandle(cell.handle, m.shape), undefined, cell.stamp);
      }
    }
    guarded(() => {
      native.replay(this.#graph, 0);
    });
    return value;
  }

  replay<T>(step: () => T): T {
    this.#replaying = true;
    this.#at = 0;
    this.#changed.length = 0;
    this.#hollow.length = 0;
    const value = this.#listen(step);
    if (this.#at < this.#entries.length) throw this.#differs('the end', this.#entries[this.#at++]);
    const escaped = this.#hollow.find(({ cell }) => cell.refs > 0);
    if (escaped !== undefined) {
      throw new SecateurError(
        'ERR_CAPTURE',
        `capture: the step has kept a result of ${escaped.what} that it disposed when it was recorded. Keep the same tensors every time.`,
        { op: escaped.what },
      );
    }
    flushReleases();
    const updates = this.#changed.flatMap(({ entry, numbers }) => [entry.number, numbers.length, ...numbers]);
    native.block.set(updates);
    guarded(() => {
      native.replay(this.#graph, updates.length);
    });
    // Only now: a step that throws on the way has told the device nothing, and the next one has to.
    for (const { entry, numbers } of this.#changed) entry.numbers = numbers;
    return value;
  }

  #listen<T>(step: () => T): T {
    slots.recorder = this;
    setCapturing(true);
    try {
      const value = step();
      refusePromise('capture', value);
      return value;
    } finally {
      setCapturing(false);
      slots.recorder = undefined;
    }
  }

  // The error that led here is the one to report.
  #abandon(): void {
    try {
      native.captureEnd();
      native.captureRelease(this.#graph);
    } catch {
      // Dropped by the device already.
    }
  }

  dispose(): void {
    for (const { made } of this.#entries) for (const m of made) m.kept?.release();
    flushReleases();
    guarded(() => {
      native.captureRelease(this.#graph);
    });
  }
}

function viewHandle(handle: number, shape: Shape): number {
  const block = native.block;
  block[0] = shape.length;
  for (let i = 0; i < shape.length; i++) block[i + 1] = shape[i] as number;
  return native.view(handle, 0);
}

/** A step that is recorded once and then replayed: call it as the function it was made from. */
export interface Captured<T> {
  (): T;
  /** Launches and copies that a replay makes with one call; 0 until it is recorded. */
  readonly nodes: number;
  /** Frees the recording and the memory of its intermediate results. */
  dispose(): void;
}

/**
 * Makes a step that runs on the GPU as one launch. The first call runs `step` as it is (kernels are loaded, state is
 * made), the second records it, later ones replay it. `step` is synchronous and makes the same calls every time, on the
 * same tensors: new inputs are written into the old ones, between calls (`writeData`, `copy_`). Numbers may change
 * freely: learning rates, temperatures, counts, step numbers; random numbers go on. What is returned is overwritten by
 * the next call.
 *
 * With SECATEUR_SYNC=1, where every op is waited for, the step runs as it is at every call.
 *
 * @throws ERR_CAPTURE, when called, naming what cannot be captured (reading a value, a copy from the host) or what is not
 * as it was recorded; ERR_CUDA_UNAVAILABLE
 */
export function capture<T>(step: () => T): Captured<T> {
  checkDevice('capture', 'cuda');
  let calls = 0;
  let recording: Recording | undefined;
  let disposed = false;
  const isDisposed = (): boolean => disposed;
  const run = (): T => {
    if (disposed) throw new SecateurError('ERR_DISPOSED', 'capture: this step was disposed.');
    if (isCapturing())
      throw new SecateurError('ERR_CAPTURE', 'capture: a captured step cannot be part of another one.');
    if (recording !== undefined) return recording.replay(step);
    if (calls++ === 0 || native.info().sync) {
      const value = step();
      refusePromise('capture', value);
      return value;
    }
    const made = new Recording();
    // If this throws, the next call runs the step as it is again.
    calls = 0;
    const value = made.record(step);
    if (isDisposed()) made.dispose();
    else recording = made;
    return value;
  };
  return Object.defineProperties(run as Captured<T>, {
    nodes: { get: () => recording?.nodes ?? 0 },
    dispose: {
      value: () => {
        disposed = true;
        recording?.dispose();
        recording = undefined;
      },
    },
  });
}
