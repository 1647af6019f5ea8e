import { constants } from 'node:buffer';
import * as fs from 'node:fs';
import { didYouMean, SecateurError } from '../core/errors.js';
import { writeFileAtomic } from './atomicWrite.js';
import { elementCount, ITEM_SIZE, type FileDType, type RawArray } from './rawArray.js';
import { checkpointFault, METADATA_KEY, parseHeader, type Header, type TensorEntry } from './safetensorsHeader.js';

/** The format's own bound on the header: more is refused unread. */
const MAX_HEADER = 100_000_000;
/** Bytes of the header's length, which open the file (u64, little-endian). */
const LENGTH_BYTES = 8;
/** One read call takes at most 2 GiB on Linux. */
const MAX_READ = 2 ** 30;

/** What a file holds under a key. */
export interface TensorInfo {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

function ioFault(file: string, cause: unknown): SecateurError {
  return new SecateurError('ERR_IO', `Could not read ${file}: ${(cause as Error).message}.`, { path: file }, cause);
}

/** Reads exactly `length` bytes from `position` into memory of their own, so that any typed view of them is aligned. */
function readRange(fd: number, file: string, position: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    let got: number;
    try {
      got = fs.readSync(fd, bytes, done, Math.min(length - done, MAX_READ), position + done);
    } catch (cause) {
      throw ioFault(file, cause);
    }
    if (got === 0)
      throw checkpointFault(file, `the file ended ${length - done} bytes early; it was cut off after it was opened`);
    done += got;
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length);
}

/**
 * A safetensors file opened for reading: 8 bytes of header length, a JSON header, then the tensors' bytes.
 * Opening reads and checks the header only; `bytes` reads one tensor, so a file may be larger than memory.
 */
export class SafetensorsFile {
  readonly path: string;
  #fd: number | undefined;
  readonly #header: Header;
  readonly #dataStart: number;

  private constructor(path: string, fd: number, header: Header, dataStart: number) {
    this.path = path;
    this.#fd = fd;
    this.#header = header;
    this.#dataStart = dataStart;
  }

  /**
   * Opens `path` and checks all its header says against its size: hostile or damaged files are refused here.
   *
   * @throws SecateurError ERR_CHECKPOINT naming the file, the tensor and the trouble; ERR_IO when it cannot be read.
   */
  static open(path: string): SafetensorsFile {
    let fd: number;
    let size: number;
    try {
      // A pipe would block the open call itself, so ask what it is before.
      if (!fs.statSync(path).isFile()) throw new Error('it is not a plain file');
      fd = fs.openSync(path, 'r');
    } catch (cause) {
      throw ioFault(path, cause);
    }
    try {
      size = fs.fstatSync(fd).size;
      if (size < LENGTH_BYTES)
        throw checkpointFault(path, `it has ${size} bytes, a safetensors file has at least ${LENGTH_BYTES + 2}`);
      const first = readRange(fd, path, 0, LENGTH_BYTES);
      const length = Buffer.from(first.buffer, first.byteOffset, first.byteLength).readBigUInt64LE();
      if (length > BigInt(MAX_HEADER)) {
        throw checkpointFault(path, `it claims a header of ${length} bytes, at most ${MAX_HEADER} are allowed`);
      }
      const dataStart = LENGTH_BYTES + Number(length);
      if (dataStart > size)
        throw checkpointFault(
          path,
          `its header of ${length} bytes does not fit into its ${size} bytes; the file is cut off`,
        );
      const header = parseHeader(path, readRange(fd, path, LENGTH_BYTES, Number(length)), size - dataStart);
      return new SafetensorsFile(path, fd, header, dataStart);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** Names of the tensors, in the header's order. */
  keys(): string[] {
    return [...this.#header.tensors.keys()];
  }

  has(key: string): boolean {
    return this.#header.tensors.has(key);
  }

  /** The file's `__metadata__`: free text by key; empty when there is none. */
  get metadata(): ReadonlyMap<string, string> {
    return this.#header.metadata;
  }

  #entry(key: string): TensorEntry {
    const entry = this.#header.tensors.get(key);
    if (entry !== undefined) return entry;
    const hint = didYouMean(key, this.keys());
    throw new SecateurError('ERR_CHECKPOINT', `${this.path}: there is no tensor ${JSON.stringify(key)}.${hint}`, {
      path: this.path,
      tensor: key,
    });
  }

  /** dtype, shape and size of a tensor, without reading it. Throws ERR_CHECKPOINT for an unknown key. */
  info(key: string): TensorInfo {
    const { dtype, shape, byteLength } = this.#entry(key);
    return { dtype, shape: [...shape], byteLength };
  }

  /** A tensor's bytes as they lie in the file, read now into fresh memory. Throws ERR_CHECKPOINT for an unknown key. */
  bytes(key: string): Uint8Array {
    const { begin, byteLength } = this.#entry(key);
    if (this.#fd === undefined) {
      throw new SecateurError('ERR_DISPOSED', `${this.path} is closed: read ${JSON.stringify(key)} before close().`);
    }
    if (byteLength > constants.MAX_LENGTH) {
      throw checkpointFault(
        this.path,
        `its ${byteLength} bytes are more than one array can hold here (${constants.MAX_LENGTH})`,
        key,
      );
    }
    return readRange(this.#fd, this.path, this.#dataStart + begin, byteLength);
  }

  /** A tensor's dtype, shape and bytes; `toFloat32` and its kin turn it into numbers. */
  array(key: string): RawArray {
    const { dtype, shape } = this.info(key);
    return { dtype, shape, bytes: this.bytes(key) };
  }

  /** Closes the file. Closing twice does nothing. */
  close(): void {
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const DTYPE_RANK = new Map(Object.keys(ITEM_SIZE).map((dtype, rank) => [dtype, rank]));

/** Order of the UTF-8 bytes, as the reference implementation sorts (JavaScript's `<` compares UTF-16 units). */
function byUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function checkEntry(name: string, array: RawArray): void {
  if (name === METADATA_KEY || name === '__proto__' || Buffer.from(name).toString() !== name) {
    throw new SecateurError('ERR_ARGUMENT', `writeSafetensors: ${JSON.stringify(name)} cannot be a tensor's name.`, {
      tensor: name,
    });
  }
  const bytes = (elementCount(array.shape) ?? NaN) * ITEM_SIZE[array.dtype];
  if (bytes !== array.bytes.byteLength) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `writeSafetensors: ${JSON.stringify(name)} of shape [${array.shape.join(', ')}] and dtype ${array.dtype} takes ${bytes} bytes, ` +
        `${array.bytes.byteLength} were given.`,
      { tensor: name },
    );
  }
}

/**
 * Writes a safetensors file, whole or not at all. The same content gives the same bytes whatever the order it comes in:
 * widest dtypes first, then by name, and a header padded with spaces to 8 bytes, as the format's reference
 * implementation lays it out, so that every tensor is aligned.
 *
 * @param entries names and arrays; a name given twice is refused.
 * @param metadata free text kept in the header.
 * @returns the file's size in bytes.
 * @throws SecateurError ERR_IO when it cannot be written (disk full ...): the old file is then intact; ERR_ARGUMENT for
 * a bad name, ERR_SHAPE_MISMATCH for bytes that do not fit shape and dtype.
 */
export function writeSafetensors(
  path: string,
  entries: Iterable<readonly [name: string, array: RawArray]>,
  metadata: Readonly<Record<string, string>> = {},
): number {
  const arrays = new Map<string, RawArray>();
  for (const [name, array] of entries) {
    checkEntry(name, array);
    if (arrays.has(name)) {
      throw new SecateurError('ERR_ARGUMENT', `writeSafetensors: tensor ${JSON.stringify(name)} is given twice.`, {
        tensor: name,
      });
    }
    arrays.set(name, array);
  }
  const rank = (array: RawArray): number => DTYPE_RANK.get(array.dtype) ?? 0;
  const laidOut = [...arrays].sort(([a, x], [b, y]) => rank(y) - rank(x) || byUtf8(a, b));

  // Written member by member: an object literal would move integer-like names to the front.
  const members: string[] = [];
  const notes = Object.entries(metadata).sort(([a], [b]) => byUtf8(a, b));
  if (Object.hasOwn(metadata, '__proto__')) {
    throw new SecateurError('ERR_ARGUMENT', "writeSafetensors: metadata cannot have a key '__proto__'.");
  }
  if (notes.length > 0) {
    const texts = notes.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
    members.push(`${JSON.stringify(METADATA_KEY)}:{${texts.join(',')}}`);
  }
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of laidOut) {
    const span = [offset, (offset += bytes.byteLength)];
    members.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: span })}`);
  }
  const json = Buffer.from(`{${members.join(',')}}`);
  const head = Buffer.alloc(LENGTH_BYTES + Math.ceil(json.byteLength / 8) * 8, ' ');
  if (head.byteLength - LENGTH_BYTES > MAX_HEADER) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      `writeSafetensors: a header of ${json.byteLength} bytes, the format allows ${MAX_HEADER}.`,
    );
  }
  head.writeBigUInt64LE(BigInt(head.byteLength - LENGTH_BYTES));
  json.copy(head, LENGTH_BYTES);
  return writeFileAtomic(path, [head, ...laidOut.map(([, array]) => array.bytes)]);
}
