import * as fs from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { SecateurError } from '../core/errors.js';

/** Bytes an array of an idx file may take, compressed or not. MNIST's largest file has 47 MB; a gzip bomb stops here. */
const MAX_IDX_BYTES = 2 ** 29;
/** The idx type code of unsigned bytes, the only one the MNIST family uses. */
const UBYTE = 0x08;

/** An array of unsigned bytes, row-major. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

function fault(file: string, trouble: string): SecateurError {
  return new SecateurError('ERR_DATA', `${file}: ${trouble}.`, { path: file });
}

/** The file's bytes, unpacked when they start as gzip does (the name does not matter). */
function readBytes(file: string, maxBytes: number): Buffer {
  let packed: Buffer;
  try {
    const { size } = fs.statSync(file);
    if (!fs.statSync(file).isFile()) throw new Error('it is not a plain file');
    if (size > maxBytes) throw fault(file, `it has ${size} bytes, at most ${maxBytes} are read`);
    packed = fs.readFileSync(file);
  } catch (cause) {
    if (cause instanceof SecateurError) throw cause;
    throw new SecateurError('ERR_DATA', `Could not read ${file}: ${(cause as Error).message}.`, { path: file }, cause);
  }
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
  try {
    return gunzipSync(packed, { maxOutputLength: maxBytes });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw fault(
      file,
      code === 'ERR_BUFFER_TOO_LARGE' ? `it unpacks to more than ${maxBytes} bytes` : `it is damaged gzip (${message})`,
    );
  }
}

/**
 * Reads an idx file of unsigned bytes (the format of MNIST), plain or gzip.
 *
 * The file is: two zero bytes, the type code 8, the number of dimensions, each dimension as a big-endian u32, then
 * exactly as many bytes as the dimensions say.
 *
 * @param options.dims the number of dimensions it must have.
 * @param options.maxBytes the largest size accepted, unpacked.
 * @throws SecateurError ERR_DATA saying what is wrong with which file.
 */
export function readIdx(file: string, options: { dims?: number; maxBytes?: number } = {}): IdxArray {
  const bytes = readBytes(file, options.maxBytes ?? MAX_IDX_BYTES);
  if (bytes.byteLength < 4) throw fault(file, `it has ${bytes.byteLength} bytes, too few for an idx file`);
  if (bytes.readUInt16BE(0) !== 0) {
    throw fault(
      file,
      `it starts with 0x${bytes.toString('hex', 0, 4)}, so it is no idx file (those start with 0x000008)`,
    );
  }
  if (bytes[2] !== UBYTE) throw fault(file, `its element type is ${bytes[2]}, only ${UBYTE} (unsigned bytes) is read`);
  const rank = bytes[3] ?? 0;
  if (rank === 0) throw fault(file, 'it has no dimensions');
  if (options.dims !== undefined && rank !== options.dims) {
    throw fault(file, `it has ${rank} dimensions, ${options.dims} are needed; are images and labels exchanged?`);
  }
  const start = 4 + 4 * rank;
  if (bytes.byteLength < start) throw fault(file, `it ends inside its header of ${start} bytes`);
  const shape = Array.from({ length: rank }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  // Beyond 2^53 the product is rounded, but then it is far from any real file's length too.
  const promised = shape.reduce((product, dim) => product * dim, 1);
  const there = bytes.byteLength - start;
  if (promised !== there) {
    throw fault(
      file,
      `its dimensions ${shape.join(' x ')} promise ${promised} bytes, ${there} follow; it is ${there < promised ? 'cut off' : 'too long'}`,
    );
  }
  return { shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + start, there) };
}
