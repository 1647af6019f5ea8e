import t from 'tap';
import { rawArrayOf, toFloat32, toFloat64, toInt32 } from '../../lib/io/rawArray.js';

t.test('numbers keep their values or are refused', async (t) => {
  const halves = Uint16Array.of(
    0x0000,
    0x8000,
    0x3c00,
    0xc000,
    0x7bff,
    0x0001,
    0x03ff,
    0x0400,
    0x7c00,
    0xfc00,
    0x7e00,
    0x3555,
  );
  const expected = [
    0,
    -0,
    1,
    -2,
    65504,
    2 ** -24,
    1023 * 2 ** -24,
    2 ** -14,
    Infinity,
    -Infinity,
    NaN,
    1365 * 2 ** -12,
  ];
  t.ok(
    toFloat32(rawArrayOf(halves, [12], 'F16')).every((v, i) => Object.is(v, expected[i])),
    'f16',
  );
  t.ok(
    toFloat64(rawArrayOf(halves, [12], 'F16')).every((v, i) => Object.is(v, expected[i])),
    'f16 as f64',
  );
  const brains = rawArrayOf(Uint16Array.of(0x3f80, 0xbf80, 0x0001, 0x7f80, 0x7fc0, 0x8000), [6], 'BF16');
  const bfloats = [1, -1, 2 ** -133, Infinity, NaN, -0];
  t.ok(
    toFloat32(brains).every((v, i) => Object.is(v, bfloats[i])),
    'bf16',
  );

  const big = rawArrayOf(BigInt64Array.of(5n, -(2n ** 31n), 2n ** 31n), [3]);
  t.throws(() => toInt32(big, 'ids'), {
    code: 'ERR_DTYPE',
    message: 'ids (I64) holds 2147483648 at flat index 2, which int32 cannot hold.',
  });
  t.strictSame([...toInt32(rawArrayOf(BigInt64Array.of(5n, -(2n ** 31n)), [2]))], [5, -(2 ** 31)]);
  t.throws(() => toInt32(rawArrayOf(Uint32Array.of(2 ** 31), [1])), { code: 'ERR_DTYPE' });
  t.throws(() => toInt32(rawArrayOf(Float32Array.of(1), [1])), { code: 'ERR_DTYPE', message: /is F32/ });
  t.strictSame([...toInt32(rawArrayOf(Uint8Array.of(1, 0), [2], 'BOOL'))], [1, 0]);
  t.throws(() => toFloat64(rawArrayOf(BigInt64Array.of(2n ** 53n + 1n), [1])), { code: 'ERR_DTYPE' });
  t.throws(() => toFloat32(rawArrayOf(Int32Array.of(2 ** 24 + 1), [1])), { code: 'ERR_DTYPE', message: /16777217/ });
  t.throws(() => toFloat32(rawArrayOf(Float64Array.of(1e39), [1])), { code: 'ERR_DTYPE' });
  t.strictSame([...toFloat32(rawArrayOf(Float64Array.of(Infinity, 0.1), [2]))], [Infinity, Math.fround(0.1)]);
  t.throws(() => toFloat32({ dtype: 'F8_E4M3', shape: [1], bytes: Uint8Array.of(1) }, 'w'), {
    code: 'ERR_DTYPE',
    message: /w is F8_E4M3/,
  });
  t.throws(() => rawArrayOf(Float32Array.of(1), [2]), { code: 'ERR_SHAPE_MISMATCH' });
  t.throws(() => rawArrayOf(Float32Array.of(1), [1], 'F64'), { code: 'ERR_DTYPE' });
  const odd = new Uint8Array(9);
  odd.set(new Uint8Array(Float64Array.of(2.5).buffer), 1);
  t.strictSame([...toFloat64({ dtype: 'F64', shape: [1], bytes: odd.subarray(1) })], [2.5], 'unaligned bytes');
});
