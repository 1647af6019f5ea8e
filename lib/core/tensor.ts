import { inspect } from 'node:util';
import { refuseCapture } from './capturing.js';
import { type DataOf, type DType, dtypeCode, newData } from './dtype.js';
import { type Device, deviceCode } from './device.js';
import { SecateurError } from './errors.js';
import { guarded, native } from './native.js';
import { type Shape, showShape, sizeOf } from './shape.js';

/** Who wrote a storage last, and how often it was written: shared by every view of it. */
export interface Stamp {
  version: number;
  writer: string;
  /** Another tensor sees the same storage: it must not be overwritten to save a copy. */
  viewed: boolean;
}

/** The values of a tensor in bf16, and the version they were taken from. */
export interface LowCopy {
  readonly copy: Tensor<'bf16'>;
  readonly stamp: Stamp;
  readonly version: number;
}

/** What the tape hangs on a tensor: the node that made it. */
export interface GradNode {
  release(): void;
}

/**
 * The owner of one native handle (or, on `ref`, of one array of doubles), counted: a tensor that a caller disposed
 * stays readable for the tape that saved it.
 */
export class Cell {
  refs = 1;
  readonly handle: number;
  readonly values: Float64Array | undefined;
  readonly stamp: Stamp;

  constructor(handle: number, values: Float64Array | undefined, stamp: Stamp) {
    this.handle = handle;
    this.values = values;
    this.stamp = stamp;
  }

  retain(): this {
    this.refs++;
    return this;
  }

  release(): void {
    if (--this.refs === 0 && this.handle !== 0) freeHandle(this.handle);
  }
}

// Released handles leave in batches, with the next native call at the latest.
const pending: number[] = [];
const batch = 32;

function freeHandle(handle: number): void {
  if (pending.push(handle) >= batch) flushReleases();
}

/** Hands the released handles to the addon. */
export function flushReleases(): void {
  const n = pending.length;
  if (n === 0) return;
  const block = native.block;
  for (let i = 0; i < n; i++) block[i] = pending[i] as number;
  pending.length = 0;
  native.release(n);
}

// Tensors made outside any scope and never disposed: the garbage collector is the backstop, and only that.
const backstop = new FinalizationRegistry<{ cell: Cell; node: GradNode | undefined }>(({ cell, node }) => {
  cell.release();
  node?.release();
});

/** Where new tensors are entered; `scope` installs its own list. */
let owner: Tensor[] | undefined;

export function swapOwner(next: Tensor[] | undefined): Tensor[] | undefined {
  const before = owner;
  owner = next;
  return before;
}

/** Gives a tensor to no scope: it belongs to an object (a module, an optimizer) that disposes it. */
export function ownAlone(t: Tensor): void {
  backstop.register(t, { cell: t.cell, node: t.gradNode }, t);
}

/** Whether a scope will dispose what is made now. */
export function inScope(): boolean {
  return owner !== undefined;
}

/** Gives a tensor to the innermost scope, or to the garbage collector where there is none. */
export function enter(t: Tensor): void {
  if (owner !== undefined) owner.push(t);
  else ownAlone(t);
}

/**
 * An n-dimensional array of one dtype on one device, row-major. A small object over a native handle: its memory is
 * freed by `dispose()`, by the `scope` it was made in, or by `using`.
 */
export class Tensor<D extends DType = DType> {
  cell: Cell;
  readonly dtype: D;
  readonly shape: Shape;
  #device: Device;
  #disposed = false;
  #requiresGrad = false;
  /** Set by the tape: the node this tensor is an output of, and which output. */
  gradNode: GradNode | undefined = undefined;
  gradIndex = 0;
  /** The gradient that `backward()` left, for leaves that require one. Further calls add to it. */
  grad: Tensor<D> | undefined = undefined;
  /** Memory set aside for the gradient (a range of an arena); `grad` then is this tensor. */
  gradSlot: Tensor<D> | undefined = undefined;
  /** Kept by autocast for a tensor that lasts. */
  lowCopy: LowCopy | undefined = undefined;

  constructor(cell: Cell, dtype: D, shape: Shape, device: Device) {
    this.cell = cell;
    this.dtype = dtype;
    this.shape = shape;
    this.#device = device;
  }

  get device(): Device {
    return this.#device;
  }

  /** Whether the tensor is there to be used again and again, as a parameter is: copies of it are worth keeping. */
  get lasts(): boolean {
    return false;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Whether the tape follows what is computed from this tensor. Only f32 and bf16 tensors can. */
  get requiresGrad(): boolean {
    return this.#requiresGrad;
  }

  set requiresGrad(on: boolean) {
    if (on && this.dtype !== 'f32' && this.dtype !== 'bf16') {
      throw new SecateurError('ERR_DTYPE', `requiresGrad: a ${this.dtype} tensor has no gradient; needs f32 or bf16.`);
    }
    this.#requiresGrad = on;
  }

  /** Frees the memory, as soon as nothing else (a view, the tape) needs it. Disposing twice is fine. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.dropCopy();
    backstop.unregister(this);
    this.cell.release();
    this.gradNode?.release();
    this.gradNode = undefined;
  }

  /** Frees the copy that autocast keeps. */
  dropCopy(): void {
    this.lowCopy?.copy.dispose();
    this.lowCopy = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Throws ERR_DISPOSED when the tensor is gone. */
  alive(where: string): this {
    if (this.#disposed) {
      throw new SecateurError(
        'ERR_DISPOSED',
        `${where}: a ${this.dtype} tensor of shape ${showShape(this.shape)} was disposed before this use. Keep it with keep(t), or return it from its scope.`,
        { shape: this.shape, dtype: this.dtype },
      );
    }
    return this;
  }

  /** A second owner of the same storage, for the tape. Not entered into any scope. */
  share(): Tensor<D> {
    const t = new Tensor(this.cell.retain(), this.dtype, this.shape, this.device);
    t.#requiresGrad = this.#requiresGrad;
    return t;
  }

  /** Moves the tensor onto another storage of the same size (a range of an arena). The values there become its own. */
  rebase(cell: Cell, device: Device = this.#device): void {
    this.dropCopy();
    backstop.unregister(this);
    this.cell.release();
    this.cell = cell;
    this.#device = device;
    ownAlone(this);
  }

  /** The values in a new typed array, row-major (bf16 widened to float32). Waits for the device. */
  data(): DataOf<D> {
    this.alive('data');
    refuseCapture('data', this.device);
    const out = newData(this.dtype, this.size);
    const values = this.cell.values;
    if (values !== undefined) for (let i = 0; i < out.length; i++) out[i] = values[i] as number;
    else
      guarded(() =>
        native.download(this.cell.handle, out, this.dtype === 'bf16' ? dtypeCode.f32 : dtypeCode[this.dtype]),
      );
    return out as DataOf<D>;
  }

  /** The raw 16-bit patterns of a bf16 tensor. */
  bits(): Uint16Array {
    this.alive('bits');
    refuseCapture('bits', this.device);
    if (this.dtype !== 'bf16') throw new SecateurError('ERR_DTYPE', `bits: needs bf16, got ${this.dtype}.`);
    const out = new Uint16Array(this.size);
    if (this.cell.values === undefined) {
      guarded(() => native.download(this.cell.handle, out, dtypeCode.bf16));
      return out;
    }
    const f = new Float32Array(1);
    const u = new Uint32Array(f.buffer);
    for (let i = 0; i < out.length; i++) {
      f[0] = this.cell.values[i] as number;
      out[i] = (u[0] as number) >>> 16;
    }
    return out;
  }

  /** The values as doubles: exact on every device, and more than float32 holds on `ref`. */
  doubles(): Float64Array {
    this.alive('doubles');
    return this.cell.values !== undefined ? this.cell.values.slice() : Float64Array.from(this.data());
  }

  /** Like `data()`, without blocking the event loop while the device works. */
  async dataAsync(): Promise<DataOf<D>> {
    refuseCapture('dataAsync', this.device);
    const t = this.alive('dataAsync').share();
    try {
      if (t.cell.values === undefined) await native.flush(deviceCode(this.device));
      return t.data();
    } finally {
      t.dispose();
    }
  }

  /** The only element of a one-element tensor, as a number. Waits for the device. */
  item(): number {
    this.alive('item');
    refuseCapture('item', this.device);
    if (this.size !== 1) {
      throw new SecateurError(
        'ERR_SHAPE_MISMATCH',
        `item: needs one element, got shape ${showShape(this.shape)}. Use data().`,
      );
    }
    return this.doubles()[0] as number;
  }

  /** The text a tensor is printed as: dtype, shape, device, and the first values of all but large tensors. */
  toString(): string {
    return this[inspect.custom]();
  }

  [inspect.custom](): string {
    const head = `Tensor<${this.dtype}> ${showShape(this.shape)} ${this.device}`;
    if (this.#disposed) return `${head} (disposed)`;
    const grad = this.#requiresGrad ? ' requiresGrad' : '';
    const shown = 64;
    if (this.size > 4096) return `${head}${grad} (${this.size.toLocaleString('en')} elements)`;
    const values = this.data();
    return `${head}${grad} ${showValues(values, this.shape, 0, 0, { left: shown })}`;
  }
}

function showValues(data: ArrayLike<number>, shape: Shape, axis: number, at: number, budget: { left: number }): string {
  if (axis === shape.length) {
    budget.left--;
    const x = data[at] as number;
    return Number.isInteger(x) ? String(x) : String(Number(x.toPrecision(5)));
  }
  const parts: string[] = [];
  const step = sizeOf(shape.slice(axis + 1));
  for (let i = 0; i < (shape[axis] as number); i++) {
    if (budget.left <= 0) {
      parts.push('...');
      break;
    }
    parts.push(showValues(data, shape, axis + 1, at + i * step, budget));
  }
  return `[${parts.join(', ')}]`;
}
