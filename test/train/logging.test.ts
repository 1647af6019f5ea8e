import * as fs from 'node:fs';
import * as path from 'node:path';
import { Writable } from 'node:stream';
import t from 'tap';
import { histogramOf } from '../../lib/train/histogram.js';
import { JsonlLogger } from '../../lib/train/jsonl.js';
import { formatSeconds, Progress } from '../../lib/train/progress.js';
import { TensorBoardWriter } from '../../lib/train/tensorboard.js';
import { crc32c, maskedCrc32c } from '../../lib/train/tfRecord.js';

const folder = t.testdir();

/** A stream that keeps what is written to it, and says whether it is a terminal. */
class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns = 200;
  text = '';
  constructor(isTTY: boolean) {
    super();
    this.isTTY = isTTY;
  }
  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

t.test('progress without a terminal is a plain line every so often', async (t) => {
  const stream = new Screen(false);
  let now = 0;
  const progress = new Progress({ label: 'prune', total: 100, stream, everySeconds: 5, clock: () => now, env: {} });
  for (let step = 1; step <= 12; step++) {
    now += 1000;
    progress.update(step, { loss: 1 / step, accuracy: 0.5, sparsity: step / 100, images: 128 });
  }
  progress.note('epoch 1 done');
  progress.stop();
  progress.stop();
  t.strictSame(stream.text.split('\n'), [
    'prune 5/100  loss 0.2000  accuracy 50.0 %  sparsity 5.0 %  128 images/s  1:35 left',
    'prune 10/100  loss 0.1000  accuracy 50.0 %  sparsity 10.0 %  128 images/s  1:30 left',
    'epoch 1 done',
    'prune 12/100  loss 0.0833  accuracy 50.0 %  sparsity 12.0 %  128 images/s  1:28 left',
    '',
  ]);
  t.strictSame([59.6, 3599, 3600, 36_061].map(formatSeconds), ['1:00', '59:59', '1:00:00', '10:01:01']);
});

t.test('the rate follows the last seconds', async (t) => {
  const stream = new Screen(false);
  let now = 0;
  const progress = new Progress({ label: 'train', total: 200, stream, everySeconds: 1e6, clock: () => now, env: {} });
  for (let step = 1; step <= 100; step++) {
    now += step < 50 ? 100 : 1000;
    progress.update(step, { loss: NaN, images: 10 });
  }
  progress.stop();
  t.equal(stream.text, 'train 100/200  loss NaN  10 images/s  1:40 left\n');
});

t.test('progress on a terminal is a bar', async (t) => {
  const draw = (env: Record<string, string>): string => {
    const stream = new Screen(true);
    const listeners = process.listenerCount('SIGINT');
    const progress = new Progress({ label: 'train', total: 2, stream, env });
    t.equal(process.listenerCount('SIGINT'), listeners, "Ctrl-C stays the trainer's");
    progress.update(1, { loss: 0.5, sparsity: 0.9, images: 1 });
    progress.note('hello');
    progress.update(2, { loss: 0.25, sparsity: 0.9, images: 1 });
    progress.stop();
    return stream.text;
  };
  const coloured = draw({});
  t.match(coloured, /2\/2 {2}loss 0\.2500 {2}sparsity 90\.0 %/);
  t.match(coloured, '\u001b[32m█');
  t.match(coloured, '\r\u001b[2Khello\n');
  t.ok(coloured.includes('\u001b[?25h'), 'the cursor comes back');
  const plain = draw({ NO_COLOR: '1' });
  t.match(plain, '█'.repeat(20));
  t.notMatch(plain, /\u001b\[3\dm/, 'NO_COLOR');
  t.match(draw({ NO_COLOR: '' }), '\u001b[32m', 'an empty NO_COLOR means nothing');
  t.equal(draw({ TERM: 'dumb' }), 'hello\ntrain 2/2  loss 0.2500  sparsity 90.0 %\n');
});

t.test('JSONL', async (t) => {
  const file = path.join(folder, 'log.jsonl');
  const records = (): unknown[] =>
    fs
      .readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  const first = new JsonlLogger(file);
  first.log({ step: 1, loss: 0.5 });
  first.log({ step: 2, loss: NaN, nested: [-Infinity] });
  t.strictSame(
    records(),
    [
      { step: 1, loss: 0.5 },
      { step: 2, loss: 'NaN', nested: ['-Infinity'] },
    ],
    'there before close',
  );
  first.close();
  first.close();
  t.throws(() => first.log({}), { code: 'ERR_DISPOSED' });
  fs.appendFileSync(file, '{"step":3,"lo');
  const second = new JsonlLogger(file, { append: true });
  second.log({ step: 3, text: 'a\nb' });
  second.close();
  t.strictSame(
    records().slice(1),
    [
      { step: 2, loss: 'NaN', nested: ['-Infinity'] },
      { step: 3, text: 'a\nb' },
    ],
    'a torn line goes',
  );
  new JsonlLogger(file).close();
  t.equal(fs.statSync(file).size, 0);
  t.throws(() => new JsonlLogger(path.join(folder, 'no/such')), { code: 'ERR_IO', message: /ENOENT/ });
  const full = new JsonlLogger('/dev/full');
  t.throws(() => full.log({ step: 1 }), { code: 'ERR_IO', message: /ENOSPC/ });
  full.close();
});

t.test('histograms', async (t) => {
  const { edges, counts, ...rest } = histogramOf([0, 1, 2, 3, 4, NaN, Infinity], 4);
  t.strictSame(
    [edges, counts],
    [
      [0, 1, 2, 3, 4],
      [1, 1, 1, 2],
    ],
  );
  t.strictSame(rest, { min: 0, max: 4, sum: 10, sumOfSquares: 30, count: 5 });
  t.strictSame(histogramOf([2, 2], 2).counts, [0, 2]);
  t.strictSame(histogramOf([NaN], 2), {
    edges: [0, 0, 0],
    counts: [0, 0],
    min: 0,
    max: 0,
    sum: 0,
    sumOfSquares: 0,
    count: 0,
  });
  t.strictSame(histogramOf([-1.7e308, 1.7e308], 2).counts, [1, 1], 'a range beyond the largest number');
});

t.test('crc32c', async (t) => {
  // RFC 3720, B.4, and the usual check value.
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  t.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  t.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
  t.equal(crc32c(Buffer.alloc(0)), 0);
  t.equal(maskedCrc32c(Buffer.alloc(0)), 0xa282ead8);
});

/** A reader of its own: protobuf fields of a message by number, as the wire format says, knowing nothing of the writer. */
function fieldsOf(message: Buffer): Map<number, (Buffer | bigint)[]> {
  const fields = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = readVarint();
    const wire = Number(key & 7n);
    let value: Buffer | bigint;
    if (wire === 0) value = readVarint();
    else {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(readVarint()) : NaN;
      value = message.subarray(at, (at += length));
      if (value.length !== length) throw new Error('cut off');
    }
    const field = Number(key >> 3n);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

/** The payloads of a TFRecord file, checked with a bit-by-bit crc. */
function recordsOf(bytes: Buffer): Buffer[] {
  const masked = (data: Uint8Array): number => {
    let crc = 0xffffffffn;
    for (const byte of data) {
      crc ^= BigInt(byte);
      for (let i = 0; i < 8; i++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x82f63b78n : crc >> 1n;
    }
    crc ^= 0xffffffffn;
    return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
  };
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    t.equal(bytes.readUInt32LE(at + 8), masked(bytes.subarray(at, at + 8)));
    t.equal(bytes.readUInt32LE(at + 12 + length), masked(payload));
    records.push(payload);
    at += 16 + length;
  }
  return records;
}

t.test('TensorBoard event files', async (t) => {
  const logs = path.join(folder, 'runs/a');
  const writer = new TensorBoardWriter(logs, { clock: () => 1_700_000_000_500 });
  const other = new TensorBoardWriter(logs, { clock: () => 1_700_000_000_500 });
  other.close();
  t.not(writer.path, other.path);
  t.match(path.basename(writer.path), /^events\.out\.tfevents\.1700000000\./);
  writer.scalar('train/loss', 0.5, 0);
  writer.scalar('größe', NaN, 2 ** 40 + 5);
  writer.histogram('weights', Float32Array.of(-1, 0, 0, 1), 300, 2);
  t.throws(() => writer.scalar('x', 1, -1), { code: 'ERR_ARGUMENT' });
  writer.close();
  writer.close();
  t.throws(() => writer.scalar('x', 1, 1), { code: 'ERR_DISPOSED' });

  const events = recordsOf(fs.readFileSync(writer.path)).map(fieldsOf);
  const buffer = (fields: Map<number, (Buffer | bigint)[]> | undefined, field: number): Buffer =>
    fields?.get(field)?.[0] as Buffer;
  t.equal(events.length, 4);
  t.ok(
    events.every((event) => buffer(event, 1).readDoubleLE() === 1_700_000_000.5),
    'wall time',
  );
  t.equal(buffer(events[0], 3).toString(), 'brain.Event:2');
  const values = events.slice(1).map((event) => fieldsOf(buffer(fieldsOf(buffer(event, 5)), 1)));
  t.strictSame(
    events.slice(1).map((event) => event.get(2)),
    [[0n], [2n ** 40n + 5n], [300n]],
    'steps',
  );
  t.strictSame(
    values.map((value) => buffer(value, 1).toString()),
    ['train/loss', 'größe', 'weights'],
  );
  t.equal(buffer(values[0], 2).readFloatLE(), 0.5);
  t.ok(Number.isNaN(buffer(values[1], 2).readFloatLE()));
  const histogram = fieldsOf(buffer(values[2], 5));
  const doubles = (bytes: Buffer): number[] =>
    Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(8 * i));
  t.strictSame(
    [1, 2, 3, 4, 5, 6, 7].map((field) => doubles(buffer(histogram, field))),
    [[-1], [1], [4], [0], [2], [0, 1], [1, 3]],
  );

  t.throws(() => new TensorBoardWriter('/dev/null/x'), { code: 'ERR_IO' });
});
