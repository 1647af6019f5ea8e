import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { SecateurError } from '../core/errors.js';
import { makeFolder } from '../io/makeFolder.js';
import { histogramOf } from './histogram.js';
import { tfRecord } from './tfRecord.js';

/** Protocol buffer wire types. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** An unsigned integer below 2^53 in 7-bit groups, lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function tag(field: number, wireType: number): Buffer {
  return varint(field * 8 + wireType);
}

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, FIXED64), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(field, FIXED32), bytes]);
}

function bytesField(field: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([tag(field, LENGTH), varint(bytes.byteLength), bytes]);
}

function doublesField(field: number, values: readonly number[]): Buffer {
  const packed = Float64Array.from(values);
  return bytesField(field, new Uint8Array(packed.buffer));
}

/** Event files written by one process in one second differ by this number. */
let filesOpened = 0;

/**
 * Writes TensorBoard event files: TFRecords of `Event` messages (tensorflow/core/util/event.proto, summary.proto), with
 * scalars as `simple_value` and histograms as `HistogramProto`. Look at them with `tensorboard --logdir <folder>`.
 */
export class TensorBoardWriter {
  readonly path: string;
  readonly #clock: () => number;
  #fd: number | undefined;

  /**
   * Opens a new event file in `folder`, which is made when it is missing. A resumed run opens a further file there;
   * TensorBoard joins them.
   *
   * @param options.clock milliseconds now.
   * @throws SecateurError ERR_IO when it cannot be written.
   */
  constructor(folder: string, options: { clock?: () => number } = {}) {
    this.#clock = options.clock ?? Date.now;
    const second = String(Math.floor(this.#clock() / 1000)).padStart(10, '0');
    this.path = path.join(folder, `events.out.tfevents.${second}.${os.hostname()}.${process.pid}.${filesOpened++}`);
    try {
      makeFolder(folder);
      this.#fd = fs.openSync(this.path, 'wx');
    } catch (cause) {
      throw this.#fault(cause);
    }
    this.#write(bytesField(3, 'brain.Event:2'));
  }

  /** Records `value` (loss, accuracy ...) under `name` at a step. NaN and infinities are kept. */
  scalar(name: string, value: number, step: number): void {
    this.#summary(name, step, floatField(2, value));
  }

  /**
   * Records how the values are distributed at a step, in `bins` bins of equal width. Values that are not finite are in
   * no bin.
   */
  histogram(name: string, values: ArrayLike<number>, step: number, bins = 64): void {
    const { edges, counts, min, max, count, sum, sumOfSquares } = histogramOf(values, bins);
    const message = Buffer.concat([
      doubleField(1, min),
      doubleField(2, max),
      doubleField(3, count),
      doubleField(4, sum),
      doubleField(5, sumOfSquares),
      doublesField(6, edges.slice(1)), // each bin's upper border
      doublesField(7, counts),
    ]);
    this.#summary(name, step, bytesField(5, message));
  }

  /** Closes the file. Closing twice does nothing. */
  close(): void {
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #summary(name: string, step: number, value: Buffer): void {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new SecateurError('ERR_ARGUMENT', `TensorBoard '${name}': step ${step} is not a non-negative integer.`, {
        step,
      });
    }
    const summary = bytesField(1, Buffer.concat([bytesField(1, name), value]));
    this.#write(Buffer.concat([tag(2, VARINT), varint(step), bytesField(5, summary)]));
  }

  #write(fields: Buffer): void {
    if (this.#fd === undefined) throw new SecateurError('ERR_DISPOSED', `The event file ${this.path} is closed.`);
    const event = Buffer.concat([doubleField(1, this.#clock() / 1000), fields]);
    try {
      fs.writeFileSync(this.#fd, tfRecord(event));
    } catch (cause) {
      throw this.#fault(cause);
    }
  }

  #fault(cause: unknown): SecateurError {
    return new SecateurError(
      'ERR_IO',
      `Could not write ${this.path}: ${(cause as Error).message}.`,
      { path: this.path },
      cause,
    );
  }
}
