// What the functions on images check and choose before their ops run.
import t, { type Test } from 'tap';
import { run } from '../../lib/core/run.js';
import { maxPool2dGradOp } from '../../lib/ops/maxPool.js';
import {
  SecateurError,
  type Tensor,
  adaptiveAvgPool2d,
  avgPool2d,
  batchNormRelu,
  conv2d,
  globalAvgPool2d,
  maxPool2d,
  precision,
  scope,
  setPrecision,
  tensor,
} from '../../lib/index.js';

const images = (...shape: [number, number, number, number]): Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7)),
    { shape },
  );
};

function refused(t: Test, code: string, says: string, make: () => unknown): void {
  try {
    make();
    t.fail(`accepted, not refused with ${says}`);
  } catch (error) {
    t.ok(error instanceof SecateurError, String(error));
    t.equal((error as SecateurError).code, code);
    t.match((error as Error).message, says);
  }
}

t.test('windows and options that make no sense are refused', (t) => {
  scope(() => {
    const x = images(1, 6, 6, 2);
    const w = images(2, 3, 3, 2);
    refused(t, 'ERR_ARGUMENT', 'stride is 0', () => conv2d(x, w, undefined, { stride: 0 }));
    refused(t, 'ERR_ARGUMENT', 'padding is -1', () => conv2d(x, w, undefined, { padding: -1 }));
    refused(t, 'ERR_ARGUMENT', 'dilation is [1,1.5]', () => conv2d(x, w, undefined, { dilation: [1, 1.5] }));
    refused(t, 'ERR_ARGUMENT', 'groups is 0', () => conv2d(x, w, undefined, { groups: 0 }));
    refused(t, 'ERR_OPTION', "Did you mean 'padding'", () => conv2d(x, w, undefined, { paddign: 1 } as object));
    refused(t, 'ERR_ARGUMENT', 'more than half', () => maxPool2d(x, 2, { padding: [0, 2] }));
    refused(t, 'ERR_ARGUMENT', 'kernelSize is 0', () => avgPool2d(x, 0));
    refused(t, 'ERR_OPTION', 'countIncludePad', () => maxPool2d(x, 2, { countIncludePad: true } as object));
    refused(t, 'ERR_ARGUMENT', 'outputSize is 0', () => adaptiveAvgPool2d(x, 0));
    refused(t, 'ERR_OPTION', "Did you mean 'momentum'", () => batchNormRelu(x, x, x, x, x, { momentun: 1 } as object));
    refused(t, 'ERR_OPTION', "'highest'", () => setPrecision('low' as 'high'));
  });
  t.end();
});

t.test('a pair is height, then width; the stride of a pool is its kernel', (t) => {
  scope(() => {
    const x = images(1, 12, 6, 2);
    t.strictSame(maxPool2d(x, [4, 2]).shape, [1, 3, 3, 2]);
    t.strictSame(avgPool2d(x, 3, { stride: [1, 3] }).shape, [1, 10, 2, 2]);
    t.strictSame(conv2d(x, images(5, 3, 1, 2), undefined, { stride: [2, 1], padding: [1, 0] }).shape, [1, 6, 6, 5]);
    t.strictSame(globalAvgPool2d(x).shape, [1, 2]);
  });
  t.end();
});

t.test('precision: highest forces the direct sum', (t) => {
  scope(() => {
    const x = images(8, 8, 8, 32);
    const w = images(32, 3, 3, 32);
    const direct = (): Float64Array => conv2d(x, w, undefined, { padding: 1 }).doubles();
    const high = direct();
    setPrecision('highest');
    t.equal(precision(), 'highest');
    const highest = direct();
    setPrecision('high');
    const same = (y: Float64Array): boolean => y.every((v, i) => v === highest[i]);
    t.notOk(same(high), 'another algorithm, other roundings');
    setPrecision('highest');
    t.ok(same(direct()), 'the same algorithm, the same bits');
    setPrecision('high');
    const largest = Math.max(...highest.map(Math.abs));
    t.ok(
      high.every((v, i) => Math.abs(v - (highest[i] as number)) < 1e-5 * largest),
      'close all the same',
    );
  });
  t.end();
});

t.test('the gradient of a weight is written into its slot, and added there', (t) => {
  scope(() => {
    const x = images(2, 5, 5, 3);
    const w = images(4, 3, 3, 3);
    w.requiresGrad = true;
    const slot = images(4, 3, 3, 3);
    w.gradSlot = slot;
    const g = images(2, 5, 5, 4);
    conv2d(x, w, undefined, { padding: 1 }).backward({ grad: g });
    t.equal(w.grad, slot);
    const once = slot.doubles();
    t.ok(
      once.some((v) => Math.abs(v) > 0.1),
      'it holds the gradient',
    );
    conv2d(x, w, undefined, { padding: 1 }).backward({ grad: g });
    t.ok(
      slot.doubles().every((v, i) => Math.abs(v - 2 * (once[i] as number)) < 1e-4),
      'and then twice the gradient',
    );
  });
  t.end();
});

t.test('the gradient of max pooling takes no winners of another dtype', (t) => {
  scope(() => {
    const g = images(1, 2, 2, 3);
    const window = { kernel: [2, 2], stride: [2, 2], padding: [0, 0], shape: [1, 4, 4, 3] };
    refused(t, 'ERR_KERNEL', 'winner must be u8 or i32', () =>
      run(maxPool2dGradOp, { g, winner: g.cast('bf16') }, window).dx.data(),
    );
  });
  t.end();
});
