import * as fs from 'node:fs';
import { SecateurError } from '../core/errors.js';

/** A last line longer than this was not written by JsonlLogger. */
const MAX_LINE = 2 ** 20;

/** Cuts off what a killed process left of its last line, so that every line of the file stays valid JSON. */
function dropTornLine(fd: number): void {
  const { size } = fs.fstatSync(fd);
  const start = Math.max(0, size - MAX_LINE);
  const tail = Buffer.alloc(size - start);
  fs.readSync(fd, tail, 0, tail.length, start);
  const kept = tail.lastIndexOf('\n') + 1;
  if (kept < tail.length && (kept > 0 || start === 0)) fs.ftruncateSync(fd, start + kept);
}

/**
 * Writes records to a JSONL file: one JSON object a line, in the file as soon as `log` returns. JSON has no NaN and no
 * infinity; they are written as the strings "NaN", "Infinity" and "-Infinity", so that a diverged run shows as one.
 */
export class JsonlLogger {
  readonly path: string;
  #fd: number | undefined;

  /**
   * @param options.append keep what the file holds and go on after it (a resumed run); otherwise it starts empty.
   * @throws SecateurError ERR_IO when the file cannot be opened.
   */
  constructor(path: string, options: { append?: boolean } = {}) {
    this.path = path;
    try {
      this.#fd = fs.openSync(path, options.append === true ? 'a+' : 'w');
      if (options.append === true) dropTornLine(this.#fd);
    } catch (cause) {
      this.close();
      throw this.#fault(cause);
    }
  }

  /** Appends one record. Throws ERR_IO when the disk does not take it, ERR_DISPOSED after close(). */
  log(record: Readonly<Record<string, unknown>>): void {
    if (this.#fd === undefined) throw new SecateurError('ERR_DISPOSED', `The log ${this.path} is closed.`);
    const line = JSON.stringify(record, (_, value: unknown) =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    );
    try {
      fs.writeFileSync(this.#fd, `${line}\n`);
    } catch (cause) {
      throw this.#fault(cause);
    }
  }

  /** Closes the file. Closing twice does nothing. */
  close(): void {
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #fault(cause: unknown): SecateurError {
    return new SecateurError(
      'ERR_IO',
      `Could not write the log ${this.path}: ${(cause as Error).message}.`,
      { path: this.path },
      cause,
    );
  }
}
