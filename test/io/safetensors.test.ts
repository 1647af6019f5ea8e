import * as fs from 'node:fs';
import * as path from 'node:path';
import t from 'tap';
import { SecateurError } from '../../lib/core/errors.js';
import { rawArrayOf, toFloat32, toFloat64, toInt32, type RawArray } from '../../lib/io/rawArray.js';
import { SafetensorsFile, writeSafetensors } from '../../lib/io/safetensors.js';

const folder = t.testdir();
const file = path.join(folder, 'x.safetensors');
const root = path.resolve(import.meta.dirname, '../../..');
const golden = path.join(root, 'test/golden');

/** A file from a header text and a data section. */
function container(header: string | Buffer, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.byteLength));
  return Buffer.concat([length, text, data]);
}

function openBytes(bytes: Uint8Array): SafetensorsFile {
  fs.writeFileSync(file, bytes);
  return SafetensorsFile.open(file);
}

/** A small generator with a seed (Marsaglia's xorshift32): the same mutations on every run. */
function seeded(seed: number): (below: number) => number {
  let x = seed | 0;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

t.test('writes and reads every dtype', async (t) => {
  const entries: [string, RawArray][] = [
    ['b', rawArrayOf(Float32Array.of(1.5, -2), [2, 1])],
    ['10', rawArrayOf(Float64Array.of(Math.PI), [])],
    ['a', rawArrayOf(Float32Array.of(), [0, 3])],
    ['ids', rawArrayOf(BigInt64Array.of(-1n, 2n ** 40n), [2])],
    ['flags', rawArrayOf(Uint8Array.of(1, 0, 1), [3], 'BOOL')],
    ['half', rawArrayOf(Uint16Array.of(0x3c00), [1], 'F16')],
    ['größe "q"\\', rawArrayOf(Int32Array.of(7), [1])],
  ];
  const size = writeSafetensors(file, entries, { step: '3', note: 'a\n"b"' });
  t.equal(size, fs.statSync(file).size);
  const first = fs.readFileSync(file);
  const opened = SafetensorsFile.open(file);
  t.strictSame(opened.keys(), ['ids', '10', 'a', 'b', 'größe "q"\\', 'half', 'flags'], 'widest first, then by name');
  t.strictSame(
    [...opened.metadata],
    [
      ['note', 'a\n"b"'],
      ['step', '3'],
    ],
  );
  for (const [name, array] of entries) {
    t.strictSame(opened.info(name), { dtype: array.dtype, shape: array.shape, byteLength: array.bytes.byteLength });
    t.strictSame(Buffer.from(opened.bytes(name)), Buffer.from(array.bytes), name);
  }
  t.equal(first.readUInt32LE(0) % 8, 0, 'the header is padded to 8 bytes');
  t.throws(() => opened.info('idz'), { code: 'ERR_CHECKPOINT', message: /no tensor "idz"\. Did you mean 'ids'/ });
  opened.close();
  opened.close();
  t.throws(() => opened.bytes('a'), { code: 'ERR_DISPOSED' });

  writeSafetensors(file, entries.toReversed(), { note: 'a\n"b"', step: '3' });
  t.strictSame(fs.readFileSync(file), first, 'the order given does not matter');
  t.equal(writeSafetensors(file, []), 16);
  t.strictSame(SafetensorsFile.open(file).keys(), []);

  const one = rawArrayOf(Float32Array.of(1), [1]);
  t.throws(
    () =>
      writeSafetensors(file, [
        ['a', one],
        ['a', one],
      ]),
    { code: 'ERR_ARGUMENT', message: /"a" is given twice/ },
  );
  t.throws(() => writeSafetensors(file, [['__metadata__', one]]), { code: 'ERR_ARGUMENT' });
  t.throws(() => writeSafetensors(file, [['\ud800', one]]), { code: 'ERR_ARGUMENT' });
  t.throws(() => writeSafetensors(file, [], JSON.parse('{"__proto__":"x"}') as Record<string, string>), {
    code: 'ERR_ARGUMENT',
  });
  t.throws(() => writeSafetensors(file, [['a', { ...one, shape: [2] }]]), { code: 'ERR_SHAPE_MISMATCH' });
  t.equal(fs.statSync(file).size, 16, 'refused entries leave the file alone');
});

t.test('lays a file out as the reference implementation does', async (t) => {
  const entries: [string, RawArray][] = [
    ['z', rawArrayOf(Float64Array.of(0), [1])],
    ['a', rawArrayOf(BigInt64Array.of(0n), [1])],
    ['m', rawArrayOf(Float64Array.of(0), [1])],
    ['u', rawArrayOf(BigUint64Array.of(0n), [1])],
    ['c', rawArrayOf(Float32Array.of(0), [1])],
    ['é', rawArrayOf(Int32Array.of(0), [1])],
    ['d', rawArrayOf(Int32Array.of(0), [1])],
    ['h', rawArrayOf(Uint16Array.of(0), [1], 'F16')],
    ['k', rawArrayOf(Int16Array.of(0), [1])],
    ['y', rawArrayOf(Uint8Array.of(0), [1])],
    ['x', rawArrayOf(Uint8Array.of(0), [1], 'BOOL')],
  ];
  writeSafetensors(file, entries, { b: '1' });
  // As written by safetensors 0.8.0 in Python for the same dictionary.
  const expected =
    '{"__metadata__":{"b":"1"},"u":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},"m":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},"z":{"dtype":"F64","shape":[1],"data_offsets":[24,32]},"c":{"dtype":"F32","shape":[1],"data_offsets":[32,36]},"d":{"dtype":"I32","shape":[1],"data_offsets":[36,40]},"é":{"dtype":"I32","shape":[1],"data_offsets":[40,44]},"h":{"dtype":"F16","shape":[1],"data_offsets":[44,46]},"k":{"dtype":"I16","shape":[1],"data_offsets":[46,48]},"y":{"dtype":"U8","shape":[1],"data_offsets":[48,49]},"x":{"dtype":"BOOL","shape":[1],"data_offsets":[49,50]}}';
  const padded = Buffer.from(expected).byteLength + ((8 - (Buffer.from(expected).byteLength % 8)) % 8);
  t.equal(
    fs
      .readFileSync(file)
      .subarray(8, 8 + padded)
      .toString(),
    expected + ' '.repeat(padded - Buffer.byteLength(expected)),
  );
  t.equal(fs.readFileSync(file).readUInt32LE(0), padded);
});

t.test('refuses files that are not what they say', async (t) => {
  const entry = (dtype: unknown, shape: unknown, offsets: unknown): string =>
    JSON.stringify({ dtype, shape, data_offsets: offsets });
  const refused: [trouble: RegExp, header: string | Buffer, data?: number][] = [
    [/does not start with '\{'/, ' {}'],
    [/not valid JSON: expected '"' at character 1/, '{'],
    [/not valid JSON: text after the end/, '{}x'],
    [/not valid JSON: nested deeper/, `{"a":${'['.repeat(100_000)}`],
    [
      /not valid JSON: key "a" is there twice/,
      `{"a":${entry('F32', [1], [0, 4])},"\\u0061":${entry('F32', [1], [0, 4])}}`,
      4,
    ],
    [/key "shape" is there twice/, '{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}}', 4],
    [/header is not UTF-8/, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])],
    [/bad string/, '{"a\n":1}'],
    [/tensor "a": its entry is 1, not an object/, '{"a":1}'],
    [/tensor "a": unknown dtype "F33"/, `{"a":${entry('F33', [1], [0, 4])}}`, 4],
    [/tensor "a": unknown dtype "toString"/, `{"a":${entry('toString', [1], [0, 4])}}`, 4],
    [/tensor "a": unknown dtype nothing/, '{"a":{}}'],
    [/tensor "a": unknown field "x"/, '{"a":{"x":1}}'],
    [/tensor "a": shape \[-1\] is not a list of non-neg/, `{"a":${entry('F32', [-1], [0, 4])}}`, 4],
    [/tensor "a": shape \[1\.5\] is not/, `{"a":${entry('F32', [1.5], [0, 6])}}`, 6],
    [/tensor "a": shape .* is not/, '{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', 4],
    [/tensor "a": shape .* more elements than any file/, `{"a":${entry('F32', [2 ** 40, 2 ** 40], [0, 4])}}`, 4],
    [/tensor "a": shape .* more elements than any file/, `{"a":${entry('F32', [2 ** 40, 2 ** 40, 0], [0, 0])}}`],
    [
      /tensor "a": F32 of shape \[2\] takes 8 bytes, but its data_offsets span 4/,
      `{"a":${entry('F32', [2], [0, 4])}}`,
      4,
    ],
    [/tensor "a": data_offsets \[0\] are not two/, `{"a":${entry('F32', [1], [0])}}`, 4],
    [/tensor "a": its data ends \(0\) before it begins \(4\)/, `{"a":${entry('F32', [1], [4, 0])}}`, 4],
    [/tensor "a": its data ends at 4, but the file has 3 bytes of data/, `{"a":${entry('F32', [1], [0, 4])}}`, 3],
    [/4 bytes after the last tensor belong to no tensor/, `{"a":${entry('F32', [1], [0, 4])}}`, 8],
    [/tensor "a": 4 bytes before its data belong/, `{"a":${entry('F32', [1], [4, 8])}}`, 8],
    [/tensor "b": its data at 2 overlaps/, `{"a":${entry('F32', [1], [0, 4])},"b":${entry('F32', [1], [2, 6])}}`, 6],
    [/tensor "b": its data at 0 overlaps/, `{"a":${entry('F32', [1], [0, 4])},"b":${entry('F32', [1], [0, 4])}}`, 4],
    [/tensor named '__proto__' is refused/, `{"__proto__":${entry('F32', [1], [0, 4])}}`, 4],
    [/__metadata__ has a key '__proto__'/, '{"__metadata__":{"__proto__":"x"}}'],
    [/__metadata__ entry "n" is 3; it has to be a string/, '{"__metadata__":{"n":3}}'],
    [/__metadata__ is null, not an object/, '{"__metadata__":null}'],
  ];
  for (const [trouble, header, data = 0] of refused) {
    const error = t.throws(() => openBytes(container(header, Buffer.alloc(data)))) as unknown as SecateurError;
    t.equal(error.code, 'ERR_CHECKPOINT', String(trouble));
    t.match(error.message, trouble);
    t.ok(error.message.startsWith(`${file}: `) || error.message.startsWith(`${file}:`), 'names the file');
    t.ok(error.message.length < file.length + 400, 'hostile text is cut');
  }
  t.throws(() => openBytes(Buffer.alloc(5)), { code: 'ERR_CHECKPOINT', message: /has 5 bytes/ });
  t.throws(() => openBytes(Buffer.alloc(8)), { code: 'ERR_CHECKPOINT', message: /does not start with/ });
  const huge = Buffer.alloc(64);
  huge.writeBigUInt64LE(2n ** 63n);
  t.throws(() => openBytes(huge), { code: 'ERR_CHECKPOINT', message: /claims a header of 9223372036854775808 bytes/ });
  huge.writeBigUInt64LE(57n);
  t.throws(() => openBytes(huge), { code: 'ERR_CHECKPOINT', message: /does not fit into its 64 bytes/ });
  t.throws(() => SafetensorsFile.open(path.join(folder, 'absent')), { code: 'ERR_IO', message: /ENOENT/ });
  t.throws(() => SafetensorsFile.open(folder), { code: 'ERR_IO', message: /not a plain file/ });

  const shrinking = openBytes(container(`{"a":${entry('F32', [100], [0, 400])}}`, Buffer.alloc(400)));
  fs.truncateSync(file, 100);
  t.throws(() => shrinking.bytes('a'), { code: 'ERR_CHECKPOINT', message: /cut off after it was opened/ });
  shrinking.close();
});

t.test('mutated files parse or are refused, nothing else', async (t) => {
  const random = seeded(20240229);
  writeSafetensors(
    file,
    [
      ['layer.weight', rawArrayOf(new Float32Array(6), [2, 3])],
      ['layer.bias', rawArrayOf(new Float64Array(2), [2])],
      ['empty', rawArrayOf(new Int32Array(0), [0])],
    ],
    { format: 'pt' },
  );
  const good = fs.readFileSync(file);
  const fragments = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '\\',
    '0',
    '-',
    '9'.repeat(20),
    '1e400',
    'null',
    '"F32"',
    '__proto__',
    '\u0000',
    '[[',
    '{}',
  ];
  let parsed = 0;
  const rounds = 6000;
  for (let round = 0; round < rounds; round++) {
    let bytes: Buffer = Buffer.from(good);
    for (let edits = 1 + random(3); edits > 0; edits--) {
      const at = random(bytes.length || 1);
      const kind = random(6);
      if (kind === 0) bytes[at] = random(256);
      else if (kind === 1) bytes = bytes.subarray(0, at);
      else if (kind === 2) bytes = Buffer.concat([bytes, Buffer.alloc(random(32))]);
      else if (kind === 3 && bytes.length > 8) bytes.writeUInt8(random(256), random(8));
      else if (kind === 4) {
        // A structural edit inside the JSON, with the length kept right, so that the parser behind it is reached.
        const header = bytes.subarray(8, 8 + good.readUInt32LE(0)).toString('latin1');
        const where = random(header.length || 1);
        const put = fragments[random(fragments.length)] ?? '';
        const edited = header.slice(0, where) + put + header.slice(where + random(4));
        bytes = container(Buffer.from(edited, 'latin1'), bytes.subarray(8 + good.readUInt32LE(0)));
      } else {
        // A digit replaced: plausible shapes and offsets that do not agree.
        const digits = [...bytes.keys()].filter((i) => i >= 8 && (bytes[i] ?? 0) >= 48 && (bytes[i] ?? 0) <= 57);
        const digit = digits[random(digits.length || 1)];
        if (digit !== undefined) bytes[digit] = 48 + random(10);
      }
    }
    try {
      const opened = openBytes(bytes);
      let total = 0;
      for (const key of opened.keys()) total += opened.bytes(key).byteLength;
      opened.close();
      if (8 + bytes.readUInt32LE(0) + total !== bytes.length) t.fail(`round ${round}: tensors do not tile the file`);
      parsed++;
    } catch (error) {
      if (!(error instanceof SecateurError) || error.code !== 'ERR_CHECKPOINT') {
        t.fail(`round ${round}: ${String((error as Error).stack)}`);
      }
    }
  }
  t.ok(parsed > 100 && parsed < rounds / 2, `${parsed} of ${rounds} still parse`);
});

t.test('reads beyond 2 GiB', async (t) => {
  // A sparse file: 3 GiB of holes, no disk used.
  const elements = 3 * 2 ** 30;
  const tail = elements + 8;
  const header = `{"big":{"dtype":"U8","shape":[${elements}],"data_offsets":[0,${elements}]},"last":{"dtype":"F64","shape":[],"data_offsets":[${elements},${tail}]}}`;
  fs.writeFileSync(file, container(header));
  const dataStart = 8 + header.length;
  fs.truncateSync(file, dataStart + tail);
  const fd = fs.openSync(file, 'r+');
  fs.writeSync(fd, Buffer.from(Float64Array.of(0.125).buffer), 0, 8, dataStart + elements);
  fs.closeSync(fd);
  const opened = SafetensorsFile.open(file);
  t.strictSame([...toFloat64(opened.array('last'))], [0.125]);
  t.equal(opened.info('big').byteLength, elements);
  opened.close();
  fs.rmSync(file);
});

t.test('golden files', async (t) => {
  const files = fs
    .readdirSync(golden, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.safetensors'));
  t.ok(files.length >= 20, `${files.length} files`);
  const seen = new Map<string, number>();
  for (const name of files) {
    const source = path.join(golden, name);
    const opened = SafetensorsFile.open(source);
    const arrays = opened.keys().map((key) => [key, opened.array(key)] as const);
    for (const [key, array] of arrays) {
      seen.set(array.dtype, (seen.get(array.dtype) ?? 0) + 1);
      const values = toFloat64(array, key);
      // pdp: the threshold of "prune nothing" is NaN by definition.
      if (!values.every(Number.isFinite)) t.ok(name.includes('pdp') && key.endsWith('/t'), `${name} ${key} is finite`);
      if (array.dtype === 'I64') t.strictSame(Float64Array.from(toInt32(array, key)), values);
      if (array.dtype === 'F32') t.strictSame(Float64Array.from(toFloat32(array, key)), values);
    }
    writeSafetensors(file, arrays, Object.fromEntries(opened.metadata));
    const copy = SafetensorsFile.open(file);
    t.strictSame(copy.metadata, opened.metadata);
    t.ok(
      arrays.every(([key, array]) => Buffer.from(copy.bytes(key)).equals(array.bytes)),
      `${name}: written back the same`,
    );
    copy.close();
    opened.close();
  }
  t.ok(
    ['F32', 'F64', 'I64'].every((dtype) => (seen.get(dtype) ?? 0) > 0),
    JSON.stringify([...seen]),
  );

  const pdp = SafetensorsFile.open(path.join(golden, 'methods/pdp.safetensors'));
  // Known by arithmetic: the mask is sigma((w^2 - t^2)/tau) and the output its product with w.
  const [w, out, m, threshold] = ['w', 'out', 'm', 't'].map((key) => toFloat64(pdp.array(`worked/${key}`))) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const settings = JSON.parse(fs.readFileSync(path.join(golden, 'methods/pdp.json'), 'utf8')) as {
    worked: { tau: number };
  };
  w.forEach((value, i) => {
    const mask = 1 / (1 + Math.exp(-(value ** 2 - (threshold[0] ?? NaN) ** 2) / settings.worked.tau));
    t.ok(Math.abs(mask - (m[i] ?? NaN)) < 1e-12 && Math.abs(mask * value - (out[i] ?? NaN)) < 1e-12);
  });
  pdp.close();
});
