// What each lane of a warp holds of a matrix: every instruction on matrices that the kernels use, run alone on the
// simulated GPU. The places are worked out here from the text of NVIDIA's PTX ISA (9.0; the sections are named by their
// titles), not from the kernels and not from the simulator, so that the two cannot be wrong together.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { launch } from './launch.js';
import { noSimulator } from './simulated.js';

const root = packageRoot();
const fixture = (name: string): string => join(root, 'test/native/fragments', `${name}.ptx`);
const folder = mkdtempSync(join(tmpdir(), 'secateur-fragments-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const lanes = [...Array(32).keys()];
// "groupID = %laneid >> 2; threadID_in_group = %laneid % 4", in every section on fragments.
const groupID = (lane: number): number => lane >> 2;
const threadID = (lane: number): number => lane % 4;

type Matrix = number[][];
const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => Array<number>(columns).fill(0));
const copy = (m: Matrix): Matrix => m.map((row) => [...row]);
/** Whole numbers from -128 to 128 without 0, in a scattered order and no two the same: exact in bf16. */
const distinct = (i: number, step: number): number => {
  const n = ((i + 1) * step) % 257;
  return n <= 128 ? n : 128 - n;
};
const filled = (rows: number, columns: number, step: number): Matrix =>
  zeros(rows, columns).map((row, r) => row.map((_, c) => distinct(r * columns + c, step)));
/** Calls `visit` with a copy of the matrix that is all zeros but for a 1, for every element. */
const oneHots = (rows: number, columns: number): Matrix[] =>
  [...Array(rows * columns).keys()].map((i) => {
    const m = zeros(rows, columns);
    (m[Math.floor(i / columns)] as number[])[i % columns] = 1;
    return m;
  });
const at = (m: Matrix, [row, column]: readonly [number, number]): number => m[row]?.[column] as number;

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);
const f32 = (x: number): number => {
  floats[0] = x;
  return words[0] as number;
};
const bf16 = (x: number): number => f32(x) >>> 16;
/** "Elements (low to high)": the first of the two lies in the lower half of the register. */
const pair = (low: number, high: number): number => ((high << 16) | low) >>> 0;

// "Matrix Fragments for mma.m16n8k16 with floating point type".
// A: "row = groupID for ai where 0 <= i < 2 || 4 <= i < 6, groupID + 8 otherwise;
//     col = (threadID_in_group * 2) + (i & 0x1) for ai where i < 4, (threadID_in_group * 2) + (i & 0x1) + 8 where i >= 4"
const rowOfA = (lane: number, i: number): number => groupID(lane) + ((0 <= i && i < 2) || (4 <= i && i < 6) ? 0 : 8);
const placeInA = (lane: number, i: number): [number, number] => [
  rowOfA(lane, i),
  threadID(lane) * 2 + (i & 1) + (i < 4 ? 0 : 8),
];
// B: "row = (threadID_in_group * 2) + (i & 0x1) for bi where i < 2, (threadID_in_group * 2) + (i & 0x1) + 8 where i >= 2;
//     col = groupID"
const placeInB = (lane: number, i: number): [number, number] => [
  threadID(lane) * 2 + (i & 1) + (i < 2 ? 0 : 8),
  groupID(lane),
];
// C and D: "row = groupID for ci where i < 2, groupID + 8 where i >= 2; col = (threadID_in_group * 2) + (i & 0x1)"
const placeInC = (lane: number, i: number): [number, number] => [
  groupID(lane) + (i < 2 ? 0 : 8),
  threadID(lane) * 2 + (i & 1),
];

// "Matrix Fragments for sparse mma.m16n8k32 with .f16 and .bf16 types".
// A: "each register containing two non-zero elements out of 4 consecutive elements from matrix A"; the rows as above;
//    "col = [firstcol ... lastcol], firstcol = threadID_in_group * 4 for ai where i < 4,
//     (threadID_in_group * 4) + 16 where i >= 4; lastcol = firstcol + 3"
const firstColumn = (lane: number, i: number): number => threadID(lane) * 4 + (i < 4 ? 0 : 16);
// B: "row = (threadID_in_group * 2) + (i & 0x1) for bi where i < 2, ... + 8 where 2 <= i < 4, ... + 16 where 4 <= i < 6,
//     ... + 24 where 6 <= i; col = groupID"
const placeInTallB = (lane: number, i: number): [number, number] => [
  threadID(lane) * 2 + (i & 1) + 8 * Math.floor(i / 2),
  groupID(lane),
];
// Metadata. "Sparse matrix storage": two 2-bit indices for each 4-wide chunk, of its non-zero elements; .ordered_metadata
// wants them ascending "starting from LSB". "The sparsity selector": a pair of threads of every group of four consecutive
// ones contributes, T0 and T1 with 0, T2 and T3 with 1. The figure of the metadata's layout: the first of the pair holds
// columns 0 to 15, the second 16 to 31, of row groupID in bits 0 to 15 and of row groupID + 8 in bits 16 to 31, four
// bits a chunk.
type Pattern = readonly [number, number];
const patterns: readonly Pattern[] = [
  [0, 1],
  [0, 2],
  [0, 3],
  [1, 2],
  [1, 3],
  [2, 3],
];
/** A pattern for each row and chunk: neighbours differ, and no two lanes' words are the same. */
const scattered = zeros(16, 8).map((row, r) => row.map((_, chunk) => ((r * 8 + chunk) * 5 + r * r + (chunk >> 1)) % 6));
const metadata = (lane: number, chosen: Matrix, selector: number): number => {
  const own = [2 * selector, 2 * selector + 1].indexOf(threadID(lane));
  // What the other lanes hold must not matter: patterns as well, but others.
  const half = own < 0 ? threadID(lane) % 2 : own;
  let word = 0;
  for (const upper of [0, 1]) {
    for (const chunk of [0, 1, 2, 3]) {
      const wanted = at(chosen, [groupID(lane) + 8 * upper, 4 * half + chunk]);
      const [first, second] = patterns[(wanted + (own < 0 ? 1 : 0)) % 6] as Pattern;
      word += ((second << 2) | first) * 2 ** (16 * upper + 4 * chunk);
    }
  }
  return word;
};

interface Product {
  /** 16 rows, of 16 columns: all of A, or what is stored of it. */
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: Matrix;
  /** Which pattern each chunk has, when A is sparse. */
  readonly chosen?: Matrix;
}

/** A as it is multiplied. */
function whole({ a, chosen }: Product): Matrix {
  if (chosen === undefined) return a;
  const wide = zeros(16, 32);
  for (const [r, row] of chosen.entries()) {
    for (const [chunk, which] of row.entries()) {
      for (const [k, index] of (patterns[which] as Pattern).entries())
        (wide[r] as number[])[4 * chunk + index] = at(a, [r, 2 * chunk + k]);
    }
  }
  return wide;
}

/** Rows of 32 words, as the fixture reads them: registers of A, B, C, and the metadata. */
function registers(product: Product, selector: number): number[] {
  const { a, b, c, chosen } = product;
  const dense = chosen === undefined;
  const element = (lane: number, i: number): number =>
    // The chunk at firstcol is stored in two columns.
    at(a, dense ? placeInA(lane, i) : [rowOfA(lane, i), firstColumn(lane, i) / 2 + (i & 1)]);
  const place = dense ? placeInB : placeInTallB;
  const rows = [0, 1, 2, 3].map((n) => lanes.map((l) => pair(bf16(element(l, 2 * n)), bf16(element(l, 2 * n + 1)))));
  for (let n = 0; n < (dense ? 2 : 4); n++)
    rows.push(lanes.map((l) => pair(bf16(at(b, place(l, 2 * n))), bf16(at(b, place(l, 2 * n + 1))))));
  for (const i of [0, 1, 2, 3]) rows.push(lanes.map((l) => f32(at(c, placeInC(l, i)))));
  if (!dense) rows.push(lanes.map((l) => metadata(l, chosen, selector)));
  return rows.flat();
}

/** The registers of D = A B + C. All numbers are whole and below 2^24: f32 is exact in whatever order. */
function results(product: Product): number[] {
  const a = whole(product);
  const d = product.c.map((row, r) =>
    row.map((c, n) => c + product.b.reduce((sum, _, k) => sum + at(a, [r, k]) * at(product.b, [k, n]), 0)),
  );
  return [0, 1, 2, 3].flatMap((i) => lanes.map((l) => f32(at(d, placeInC(l, i)))));
}

/** Distinct numbers everywhere; each element of A, B and C alone; each chunk with another pattern. */
function products(depth: 16 | 32): Product[] {
  const full: Product = {
    a: filled(16, 16, 101),
    b: filled(depth, 8, 57),
    c: filled(16, 8, 37).map((row) => row.map((x) => 1001 * x)),
    ...(depth === 32 ? { chosen: scattered } : {}),
  };
  const alone = { ...full, c: zeros(16, 8) };
  const cases = [full];
  for (const a of oneHots(16, 16)) cases.push({ ...alone, a });
  for (const b of oneHots(depth, 8)) cases.push({ ...alone, b });
  for (const c of oneHots(16, 8)) cases.push({ ...full, a: zeros(16, 16), c });
  for (const place of depth === 32 ? oneHots(16, 8) : []) {
    const chosen = copy(scattered).map((row, r) => row.map((which, chunk) => (which + at(place, [r, chunk])) % 6));
    cases.push({ ...full, chosen });
  }
  return cases;
}

const toBytes = (values: readonly number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const toWords = (bytes: Buffer): number[] => [...new Uint32Array(Uint8Array.from(bytes).buffer)];

/** The cases whose results are not what the ISA says. */
function wrongProducts(file: string, kernel: string, depth: 16 | 32, selector = 0): string[] {
  const cases = products(depth);
  const inputs = cases.map((product) => registers(product, selector));
  const expected = cases.map(results);
  const before = inputs.flatMap((input) => [...input, ...Array<number>(4 * 32).fill(0)]);
  const { after, complaint } = launch(file, kernel, toBytes(before), { blocks: cases.length });
  if (complaint !== '') throw new Error(complaint);
  const got = toWords(after);
  const size = before.length / cases.length;
  return expected.flatMap((want, n) => {
    const have = got.slice((n + 1) * size - want.length, (n + 1) * size);
    const wrong = want.findIndex((word, k) => word !== have[k]);
    return wrong < 0 ? [] : [`case ${n}: register ${wrong >> 5} of lane ${wrong % 32}`];
  });
}

// "Warp-level matrix load instruction: ldmatrix".
// "The eight addresses required for each matrix are provided by eight threads": threads 0-7 give rows 0 to 7 of the first
// matrix, 8-15 of the second, 16-23 of the third, 24-31 of the fourth. "Each thread loads a fragment of a row, with
// thread 0 receiving the first fragment in its register": lane l gets elements 2 (l % 4) and the next of row l / 4, and
// of the next matrix in its next register. ".trans indicates that the matrix is loaded in column-major format".
function wrongLoads(file: string, kernel: string, transposed: boolean): string[] {
  // 2048 elements of 16 bits, no two the same, of which 32 rows of eight are asked for, scattered.
  const element = (i: number): number => (i * 31 + 5) % 4096;
  const memory = [...Array(1024).keys()].map((i) => pair(element(2 * i), element(2 * i + 1)));
  const addresses = lanes.map((lane) => 16 * ((lane * 37 + 11) % 256));
  const value = (matrix: number, row: number, column: number): number =>
    element((addresses[8 * matrix + row] as number) / 2 + column);
  const expected = [0, 1, 2, 3].map((matrix) =>
    lanes.map((lane) => {
      const [own, first] = [groupID(lane), 2 * threadID(lane)];
      return transposed
        ? pair(value(matrix, first, own), value(matrix, first + 1, own))
        : pair(value(matrix, own, first), value(matrix, own, first + 1));
    }),
  );
  const { after, complaint } = launch(file, kernel, toBytes([...memory, ...addresses, ...Array<number>(128).fill(0)]));
  if (complaint !== '') throw new Error(complaint);
  const got = toWords(after).slice(-128);
  return expected.flat().flatMap((word, k) => (word === got[k] ? [] : [`register ${k >> 5} of lane ${k % 32}`]));
}

interface Fixture {
  readonly file: string;
  readonly kernel: string;
  /** As the kernels' PTX spells it, with the selector of metadata. */
  readonly instruction: string;
  readonly wrong: (file: string) => string[];
  /** Two registers of the instruction that are not to be mixed up. */
  readonly swap: readonly [string, string];
}
const sparse = 'mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32';
const fixtures: readonly Fixture[] = [
  {
    file: 'products',
    kernel: 'dense',
    instruction: 'mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32',
    wrong: (file) => wrongProducts(file, 'dense', 16),
    swap: ['{%r8, %r9}', '{%r9, %r8}'],
  },
  {
    file: 'products',
    kernel: 'sparse',
    instruction: `${sparse} 0x0`,
    wrong: (file) => wrongProducts(file, 'sparse', 32),
    swap: ['{%r4, %r5, %r6, %r7}, {%r8, %r9, %r10', '{%r4, %r6, %r5, %r7}, {%r8, %r9, %r10'],
  },
  {
    file: 'loads',
    kernel: 'plain',
    instruction: 'ldmatrix.sync.aligned.m8n8.x4.shared.b16',
    wrong: (file) => wrongLoads(file, 'plain', false),
    swap: ['{%r7, %r8, %r9, %r10}', '{%r7, %r9, %r8, %r10}'],
  },
  {
    file: 'loads',
    kernel: 'transposed',
    instruction: 'ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16',
    wrong: (file) => wrongLoads(file, 'transposed', true),
    swap: ['ldmatrix.sync.aligned.m8n8.x4.trans', 'ldmatrix.sync.aligned.m8n8.x4'],
  },
];

for (const { file, kernel, instruction, wrong, swap } of fixtures) {
  t.test(instruction, { skip: noSimulator }, (t) => {
    t.strictSame(wrong(fixture(file)), [], 'every register of every lane is what the ISA says');
    const text = readFileSync(fixture(file), 'utf8');
    const [before, body = ''] = text.split(`.entry ${kernel}(`);
    const changed = join(folder, `${kernel}.ptx`);
    writeFileSync(changed, `${before}.entry ${kernel}(${body.replace(swap[0], swap[1])}`);
    t.ok(text.includes(swap[0]) && wrong(changed).length > 0, 'with registers swapped they are not');
    t.end();
  });
}

t.test('the other pair of threads holds the metadata when the selector says so', { skip: noSimulator }, (t) => {
  t.strictSame(wrongProducts(fixture('products'), 'sparseSecondPair', 32, 1), [], 'with selector 1');
  t.ok(wrongProducts(fixture('products'), 'sparseSecondPair', 32, 0).length > 0, 'which is not where selector 0 looks');
  t.end();
});

t.test('every instruction on matrices in the kernels has its fixture', { skip: noSimulator }, (t) => {
  const found = new Set<string>();
  const used = new Set<string>();
  const instructions = (text: string): string[] =>
    [...text.matchAll(/\b((?:mma|wmma|wgmma|tcgen05|ldmatrix|stmatrix|movmatrix)\.[\w.:]+)([^;]*);/g)].map(
      ([, opcode = '', operands = '']) => {
        const selector = /^mma\.sp/.test(opcode) ? ` ${operands.split(',').at(-1)?.trim() ?? ''}` : '';
        return opcode + selector;
      },
    );
  const images = join(root, 'build/images');
  for (const file of readdirSync(images, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ptx')) continue;
    for (const instruction of instructions(readFileSync(join(images, file), 'utf8'))) found.add(instruction);
  }
  for (const file of ['products', 'loads']) {
    for (const instruction of instructions(readFileSync(fixture(file), 'utf8'))) used.add(instruction);
  }
  t.strictSame([...found].sort(), fixtures.map(({ instruction }) => instruction).sort());
  t.strictSame(
    [...found].filter((instruction) => !used.has(instruction)),
    [],
    'and the fixtures run these very ones',
  );
  t.end();
});
