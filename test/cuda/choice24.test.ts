// Products with 2:4 weights: both tiles give the same, and a table of measurements decides and says so.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  Choices24,
  type Table24,
  type Tensor,
  cast,
  chosenConv2d24,
  chosenLinear24,
  conv2d24,
  describeDevice,
  linear24,
  mul,
  nmHardMask,
  pack24,
  rand,
} from '../../lib/index.js';
import { noGpu, noSimulator, inProcess } from './gpu.js';
import { tune24 } from '../../bench/tune24.js';

const opts = { skip: noGpu };
const bf16 = (shape: readonly number[]): Tensor => cast(rand(shape, { device: 'cuda' }), 'bf16');
/** A weight cut to 2:4, in both forms. */
function weightOf(shape: readonly number[]): { packed: ReturnType<typeof pack24>; dense: () => Tensor } {
  const w = rand(shape, { device: 'cuda' });
  const cut = cast(mul(w, nmHardMask(w, { n: 2, m: 4 })), 'bf16');
  return { packed: pack24(cut), dense: () => cut };
}
const bits = (x: Tensor): number[] => [...x.data()];
const apart = (a: Tensor, b: Tensor): number => {
  const y = bits(b);
  return Math.max(...bits(a).map((v, i) => Math.abs(v - (y[i] as number)) / Math.max(1, Math.abs(v))));
};
const table = (microseconds: { small: number; large: number; dense: number }): Table24 => ({
  gpu: describeDevice('cuda'),
  entries: [
    { kind: 'linear', outputs: 256, pixels: 64, depth: 128, microseconds },
    { kind: 'conv2d', outputs: 64, pixels: 32, depth: 512, microseconds },
  ],
});
/** A linear layer and a convolution, with something to put in. */
const layers = () => ({
  x: bf16([40, 96]),
  image: bf16([1, 5, 6, 32]),
  forLines: weightOf([136, 96]),
  forImages: weightOf([40, 3, 3, 32]),
});

t.test('the tiles give the same bits', opts, (t) => {
  const { x, image, forLines, forImages } = layers();
  const [a, b, c] = (['small', 'large', 'byRule'] as const).map((tile) =>
    bits(linear24(x, forLines.packed, undefined, { tile, activation: 'relu' })),
  );
  t.strictSame(a, b);
  t.strictSame(a, c);
  const [d, e] = (['small', 'large'] as const).map((tile) =>
    bits(conv2d24(image, forImages.packed, 3, undefined, { tile, padding: 1 })),
  );
  t.strictSame(d, e);
  t.end();
});

t.test('a table decides, and what it decided can be reported', opts, (t) => {
  const { x, image, forLines, forImages } = layers();
  const untold = chosenLinear24(x, forLines, undefined, { choices: new Choices24() });
  t.strictSame(untold.choice, { run: 'sparse', tile: 'byRule', measured: false, shape: 'linear 256 x 64 x 128' });
  for (const best of ['small', 'large'] as const) {
    const choices = new Choices24(table({ small: 3, large: 3, dense: 9, [best]: 1 }));
    const { y, choice } = chosenLinear24(x, forLines, undefined, { choices });
    t.match(choice, { run: 'sparse', tile: best, measured: true });
    t.strictSame(bits(y), bits(untold.y));
  }
  const choices = new Choices24(table({ small: 3, large: 2, dense: 1 }));
  const sparseOnly = { ...forLines, dense: () => t.fail('nobody asks for the dense weight') as never };
  chosenLinear24(x, sparseOnly, undefined, { choices: new Choices24() });
  const linear = chosenLinear24(x, forLines, undefined, { choices, activation: 'gelu' });
  t.match(linear.choice, { run: 'dense', measured: true });
  const same = linear24(x, forLines.packed, undefined, { activation: 'gelu' });
  t.ok(apart(linear.y, same) < 0.02, 'the dense product of the same weight');
  const conv = chosenConv2d24(image, forImages, 3, undefined, { choices, padding: 1 });
  t.match(conv.choice, { run: 'dense', shape: 'conv2d 64 x 32 x 512' });
  t.ok(apart(conv.y, conv2d24(image, forImages.packed, 3, undefined, { padding: 1 })) < 0.02);
  t.strictSame(
    choices.made.map((c) => [c.shape, c.run]),
    [
      ['linear 256 x 64 x 128', 'dense'],
      ['conv2d 64 x 32 x 512', 'dense'],
    ],
  );
  t.end();
});

t.test('a table that does not fit is refused', opts, (t) => {
  const good = table({ small: 1, large: 1, dense: 1 });
  t.throws(() => new Choices24({ ...good, gpu: 'another' }), { code: 'ERR_DATA', message: /measured on another/ });
  const zero = table({ small: 0, large: 1, dense: 1 });
  t.throws(() => new Choices24(zero), { code: 'ERR_DATA', message: /entry 0/ });
  t.throws(() => new Choices24({} as Table24), { code: 'ERR_DATA' });
  t.throws(() => Choices24.read('/nowhere'), { code: 'ERR_DATA', message: /nowhere/ });
  t.end();
});

t.test('measured on the GPU, written, read through the environment', { skip: noSimulator }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-tune24-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'table.json');
  const layers = [
    { kind: 'linear', outputs: 40, inputs: 32, pixels: 20 },
    { kind: 'conv2d', outputs: 16, inputs: 32, pixels: 16 },
  ] as const;
  const entries = [...tune24(path, layers, 1)];
  t.equal(entries.length, 2);
  t.ok(entries.every((e) => Object.values(e.microseconds).every((us) => us > 0)));
  const written = JSON.parse(readFileSync(path, 'utf8')) as Table24;
  t.equal(written.gpu, describeDevice('cuda'));
  t.strictSame(written.entries, entries);
  const [first] = written.entries;
  writeFileSync(
    path,
    JSON.stringify({ ...written, entries: [{ ...first, microseconds: { small: 3, large: 2, dense: 1 } }] }),
  );
  const child = inProcess(
    `import { choices24, device } from 'lib/index.js';
     device('cuda');
     console.log(JSON.stringify(choices24().choose({ kind: 'linear', outputs: 33, pixels: 17, depth: 32 })));`,
    { SECATEUR_TABLE24: path },
  );
  t.equal(child.status, 0, child.err);
  t.match(JSON.parse(child.out), { run: 'dense', measured: true });
  t.end();
});
