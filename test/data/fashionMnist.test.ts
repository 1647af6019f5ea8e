import * as fs from 'node:fs';
import * as path from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { loadFashionMnist } from '../../lib/data/fashionMnist.js';
import { readIdx } from '../../lib/data/idx.js';

const folder = t.testdir();
const file = path.join(folder, 'x-idx');

function idx(shape: readonly number[], data: Uint8Array): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head.writeUInt32BE(0x0800 + shape.length);
  shape.forEach((dim, i) => head.writeUInt32BE(dim, 4 + 4 * i));
  return Buffer.concat([head, data]);
}

t.test('idx', async (t) => {
  const bytes = idx([2, 3], Uint8Array.of(1, 2, 3, 4, 5, 255));
  for (const content of [bytes, gzipSync(bytes)]) {
    fs.writeFileSync(file, content);
    const { shape, data } = readIdx(file, { dims: 2 });
    t.strictSame(
      [shape, [...data]],
      [
        [2, 3],
        [1, 2, 3, 4, 5, 255],
      ],
    );
  }
  const packed = gzipSync(bytes);
  const damaged = Buffer.from(packed);
  damaged[12] = (damaged[12] ?? 0) ^ 0xff;
  const refused: [trouble: RegExp, content: Uint8Array][] = [
    [/has 0 bytes/, Buffer.alloc(0)],
    [/starts with 0x89504e47, so it is no idx file/, Buffer.from('89504e47', 'hex')],
    [/element type is 13/, Buffer.from('00000d0100000001', 'hex')],
    [/no dimensions/, Buffer.from('00000800', 'hex')],
    [/3 dimensions, 2 are needed/, idx([1, 1, 1], Uint8Array.of(1))],
    [/ends inside its header of 12 bytes/, bytes.subarray(0, 11)],
    [/2 x 3 promise 6 bytes, 5 follow; it is cut off/, bytes.subarray(0, -1)],
    [/2 x 3 promise 6 bytes, 7 follow; it is too long/, Buffer.concat([bytes, Buffer.alloc(1)])],
    [/promise 18446744065119617000 bytes, 6 follow/, idx([0xffffffff, 0xffffffff], Buffer.alloc(6))],
    [/damaged gzip/, packed.subarray(0, -12)],
    [/damaged gzip/, damaged],
    [/unpacks to more than 1000 bytes/, gzipSync(Buffer.alloc(100_000))],
    [/has 1001 bytes, at most 1000/, Buffer.alloc(1001)],
  ];
  for (const [trouble, content] of refused) {
    fs.writeFileSync(file, content);
    t.throws(() => readIdx(file, { dims: 2, maxBytes: 1000 }), { code: 'ERR_DATA', message: trouble }, String(trouble));
  }
  t.throws(() => loadFashionMnist('/data' as never), { code: 'ERR_OPTION', message: /got "\/data"/ });
  t.throws(() => readIdx(path.join(folder, 'absent')), { code: 'ERR_DATA', message: /ENOENT/ });
  t.throws(() => readIdx(folder), { code: 'ERR_DATA', message: /not a plain file/ });
});

t.test('the four files', async (t) => {
  const write = (name: string, bytes: Uint8Array): void => fs.writeFileSync(path.join(folder, name), bytes);
  const dataDir = folder;
  const missing =
    /install with: apt-get install dataset-fashion-mnist, or give dataDir \(--data-dir\), a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte/;
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: missing });
  write('train-images-idx3-ubyte', idx([2, 2, 1], Uint8Array.of(1, 2, 3, 4)));
  write('train-labels-idx1-ubyte.gz', gzipSync(idx([2], Uint8Array.of(9, 0))));
  write('t10k-images-idx3-ubyte.gz', gzipSync(idx([1, 2, 1], Uint8Array.of(5, 6))));
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: missing });
  write('t10k-labels-idx1-ubyte', idx([1], Uint8Array.of(3)));
  const { train, test } = loadFashionMnist({ dataDir });
  t.strictSame(train, {
    images: Uint8Array.of(1, 2, 3, 4),
    labels: Uint8Array.of(9, 0),
    count: 2,
    height: 2,
    width: 1,
  });
  t.strictSame(test, { images: Uint8Array.of(5, 6), labels: Uint8Array.of(3), count: 1, height: 2, width: 1 });

  write('t10k-labels-idx1-ubyte', idx([1], Uint8Array.of(10)));
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: /label 10 of image 0 is not in 0\.\.9/ });
  write('t10k-labels-idx1-ubyte', idx([2], Uint8Array.of(1, 1)));
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: /has 1 images, .* has 2 labels/ });
  write('t10k-labels-idx1-ubyte', idx([1], Uint8Array.of(1)));
  write('t10k-images-idx3-ubyte.gz', idx([1, 1, 2], Uint8Array.of(5, 6)));
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: /of 2 x 1, .* of 1 x 2/ });
  write('t10k-images-idx3-ubyte.gz', idx([0, 2, 1], Uint8Array.of()));
  t.throws(() => loadFashionMnist({ dataDir }), { code: 'ERR_DATA', message: /holds no images/ });
});

t.test('where the package is looked for', async (t) => {
  // A dpkg of our own in PATH: the test does not depend on what is installed here.
  const bin = t.testdir({ data: {} });
  const saved = process.env['PATH'];
  t.teardown(() => (process.env['PATH'] = saved));
  process.env['PATH'] = bin;
  t.throws(() => loadFashionMnist(), { code: 'ERR_DATA', message: /missing; install with/ }, 'no dpkg');
  const data = path.join(bin, 'data');
  fs.writeFileSync(
    path.join(bin, 'dpkg'),
    `#!/bin/sh\n[ "$1 $2" = "-L dataset-fashion-mnist" ] && echo /. && echo ${data}/train-images-idx3-ubyte.gz\n`,
    { mode: 0o755 },
  );
  t.throws(() => loadFashionMnist(), { code: 'ERR_DATA', message: new RegExp(`looked in ${data}`) });
  for (const part of ['train', 't10k']) {
    fs.writeFileSync(path.join(data, `${part}-images-idx3-ubyte.gz`), gzipSync(idx([1, 1, 1], Uint8Array.of(7))));
    fs.writeFileSync(path.join(data, `${part}-labels-idx1-ubyte.gz`), gzipSync(idx([1], Uint8Array.of(7))));
  }
  t.equal(loadFashionMnist().train.count, 1);
});
