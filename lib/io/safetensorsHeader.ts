import { SecateurError } from '../core/errors.js';
import { elementCount, isFileDType, ITEM_SIZE, type FileDType } from './rawArray.js';
import { JsonFault, parseStrictJson, type JsonValue } from './strictJson.js';

/** Where one tensor lies in a file and what it is. */
export interface TensorEntry {
  readonly dtype: FileDType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Offset of its first byte from the start of the data section. */
  readonly begin: number;
}

export interface Header {
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The key of the header that is not a tensor. */
export const METADATA_KEY = '__metadata__';

/** The error for a file that is not what it says: names the file, the tensor and the trouble. */
export function checkpointFault(file: string, trouble: string, tensor?: string): SecateurError {
  const where = tensor === undefined ? '' : ` tensor ${JSON.stringify(tensor)}:`;
  return new SecateurError('ERR_CHECKPOINT', `${file}:${where} ${trouble}.`, {
    path: file,
    ...(tensor === undefined ? {} : { tensor }),
  });
}

/** Short text of a value for a message; hostile ones may be megabytes long. */
function show(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value instanceof Map ? 'an object' : value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseMetadata(file: string, value: JsonValue): Map<string, string> {
  if (!(value instanceof Map)) throw checkpointFault(file, `${METADATA_KEY} is ${show(value)}, not an object`);
  for (const [key, text] of value) {
    if (key === '__proto__') throw checkpointFault(file, `${METADATA_KEY} has a key '__proto__', which is refused`);
    if (typeof text !== 'string') {
      throw checkpointFault(file, `${METADATA_KEY} entry ${show(key)} is ${show(text)}; it has to be a string`);
    }
  }
  return value as Map<string, string>;
}

function parseEntry(file: string, name: string, value: JsonValue): TensorEntry {
  const fault = (trouble: string): SecateurError => checkpointFault(file, trouble, name);
  if (!(value instanceof Map)) throw fault(`its entry is ${show(value)}, not an object`);
  for (const key of value.keys()) {
    if (key !== 'dtype' && key !== 'shape' && key !== 'data_offsets') throw fault(`unknown field ${show(key)}`);
  }
  const dtype = value.get('dtype');
  if (typeof dtype !== 'string' || !isFileDType(dtype)) {
    throw fault(`unknown dtype ${show(dtype)}; known are ${Object.keys(ITEM_SIZE).join(', ')}`);
  }
  const shape = value.get('shape');
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw fault(`shape ${show(shape)} is not a list of non-negative integers`);
  }
  const offsets = value.get('data_offsets');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw fault(`data_offsets ${show(offsets)} are not two non-negative integers`);
  }
  const [begin = 0, end = 0] = offsets;
  if (begin > end) throw fault(`its data ends (${end}) before it begins (${begin})`);
  const elements = elementCount(shape);
  if (elements === undefined) throw fault(`shape ${show(shape)} has more elements than any file can hold`);
  const byteLength = elements * ITEM_SIZE[dtype];
  if (byteLength !== end - begin) {
    throw fault(`${dtype} of shape ${show(shape)} takes ${byteLength} bytes, but its data_offsets span ${end - begin}`);
  }
  return { dtype, shape, byteLength, begin };
}

/** Tensors must tile the data section: no byte outside every tensor (a hiding place), none in two. */
function checkTiling(file: string, tensors: ReadonlyMap<string, TensorEntry>, dataLength: number): void {
  let covered = 0;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.byteLength - b.byteLength);
  for (const [name, { begin, byteLength }] of inOrder) {
    if (begin + byteLength > dataLength) {
      throw checkpointFault(
        file,
        `its data ends at ${begin + byteLength}, but the file has ${dataLength} bytes of data; the file is cut off or lies`,
        name,
      );
    }
    if (begin < covered)
      throw checkpointFault(file, `its data at ${begin} overlaps another tensor's, which ends at ${covered}`, name);
    if (begin > covered)
      throw checkpointFault(file, `${begin - covered} bytes before its data belong to no tensor`, name);
    covered = begin + byteLength;
  }
  if (covered < dataLength)
    throw checkpointFault(file, `${dataLength - covered} bytes after the last tensor belong to no tensor`);
}

/**
 * Parses and checks a header. Everything it says is proved against `dataLength`, so that later reads need no checks.
 *
 * @param file the file's name, for messages.
 * @param bytes the header's JSON.
 * @param dataLength bytes of the file after the header.
 * @throws SecateurError ERR_CHECKPOINT naming the file, the tensor and the trouble.
 */
export function parseHeader(file: string, bytes: Uint8Array, dataLength: number): Header {
  if (bytes[0] !== 0x7b)
    throw checkpointFault(file, "the header does not start with '{', so this is no safetensors file");
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw checkpointFault(file, 'the header is not UTF-8');
  }
  let root: JsonValue;
  try {
    root = parseStrictJson(text);
  } catch (error) {
    if (error instanceof JsonFault) throw checkpointFault(file, `the header is not valid JSON: ${error.message}`);
    throw error;
  }
  const tensors = new Map<string, TensorEntry>();
  let metadata = new Map<string, string>();
  for (const [name, value] of root as Map<string, JsonValue>) {
    if (name === METADATA_KEY) metadata = parseMetadata(file, value);
    else if (name === '__proto__') throw checkpointFault(file, "a tensor named '__proto__' is refused");
    else tensors.set(name, parseEntry(file, name, value));
  }
  checkTiling(file, tensors, dataLength);
  return { tensors, metadata };
}
