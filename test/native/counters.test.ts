// The simulated GPU's counters: kernels written by hand, of which it can be said beforehand what they move and execute.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { launch } from './launch.js';
import { noSimulator } from './simulated.js';

const folder = mkdtempSync(join(tmpdir(), 'secateur-counters-'));
t.teardown(() => rmSync(folder, { recursive: true }));

interface Counters {
  readonly [name: string]: unknown;
  readonly instructions: Readonly<Record<string, number>>;
}
let runs = 0;

/** What is counted for a kernel of these lines. %in: the buffer; %t: the thread of the block. */
function counted(
  lines: readonly string[],
  shape: { blocks?: number; threads?: number; shared?: number; times?: number } = {},
  cache = 0,
): Counters {
  const [ptx, counters] = [join(folder, `${++runs}.ptx`), join(folder, `${runs}.json`)];
  const text = `.version 8.5
.target sm_80
.address_size 64
.visible .entry counted(.param .u64 words)
{
  .reg .b32 %r<8>, %t;
  .reg .b16 %h;
  .reg .f32 %f<4>;
  .reg .b64 %rd<4>, %in, %at;
  .reg .pred %p;
  .shared .align 16 .b8 room[512];
  ld.param.u64 %in, [words];
  mov.u32 %t, %tid.x;
  ${lines.join('\n  ')}
  ret;
}
`;
  writeFileSync(ptx, text);
  const { complaint } = launch(ptx, 'counted', Buffer.alloc(8192), shape, {
    SECATEUR_GPUSIM_COUNTERS: counters,
    SECATEUR_GPUSIM_CACHE: String(cache),
  });
  if (complaint !== '') throw new Error(complaint);
  return JSON.parse(readFileSync(counters, 'utf8')) as Counters;
}

/** %at = %in + %t * step. */
const at = (step: number): string[] => [`mul.wide.u32 %rd1, %t, ${step};`, 'add.s64 %at, %in, %rd1;'];
const nothing = {
  bytesRead: 0,
  bytesWritten: 0,
  uniqueRead: 0,
  uniqueWritten: 0,
  refetched: 0,
  sectorsRead: 0,
  sectorsWritten: 0,
  atomics: 0,
};

interface Case {
  readonly name: string;
  readonly lines: readonly string[];
  readonly shape?: { blocks?: number; threads?: number; shared?: number; times?: number };
  readonly counts: Readonly<Record<string, number>>;
}
const cases: readonly Case[] = [
  {
    name: 'launches, threads and dynamic shared memory',
    lines: [],
    shape: { blocks: 3, threads: 40, shared: 256, times: 4 },
    counts: { ...nothing, launches: 4, threads: 40, sharedBytes: 256 },
  },
  {
    name: 'neighbours: a warp of 32 and one of 8',
    lines: [...at(4), 'ld.global.u32 %r1, [%at];'],
    shape: { threads: 40 },
    counts: { ...nothing, bytesRead: 160, uniqueRead: 160, sectorsRead: 4 + 1 },
  },
  {
    name: 'one sector a lane',
    lines: [...at(32), 'st.global.u32 [%at], %t;'],
    counts: { ...nothing, bytesWritten: 128, uniqueWritten: 128, sectorsWritten: 32 },
  },
  {
    name: 'packs of 16 bytes',
    lines: [
      ...at(16),
      'ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%at];',
      'st.global.v4.u32 [%at], {%r1, %r2, %r3, %r4};',
    ],
    counts: {
      ...nothing,
      bytesRead: 512,
      uniqueRead: 512,
      sectorsRead: 16,
      bytesWritten: 512,
      uniqueWritten: 512,
      sectorsWritten: 16,
    },
  },
  {
    name: 'halves of words',
    lines: [...at(2), 'ld.global.u16 %h, [%at];'],
    counts: { ...nothing, bytesRead: 64, uniqueRead: 64, sectorsRead: 2 },
  },
  {
    name: 'single bytes, from an odd one on',
    lines: [...at(1), 'ld.global.u8 %r1, [%at+5];'],
    counts: { ...nothing, bytesRead: 32, uniqueRead: 32, sectorsRead: 2 },
  },
  {
    name: 'one word for all lanes, twice, in two blocks: unique once',
    lines: ['ld.global.u32 %r1, [%in];', 'ld.global.u32 %r2, [%in];'],
    shape: { blocks: 2 },
    counts: { ...nothing, bytesRead: 512, uniqueRead: 4, sectorsRead: 4 },
  },
  {
    name: 'unique bytes begin anew with each launch',
    lines: ['ld.global.u32 %r1, [%in];'],
    shape: { times: 2 },
    counts: { ...nothing, launches: 2, bytesRead: 256, uniqueRead: 8, sectorsRead: 2 },
  },
  {
    name: 'lanes that are left out move nothing',
    lines: [...at(4), 'setp.lt.u32 %p, %t, 3;', '@%p ld.global.u32 %r1, [%at];'],
    counts: { ...nothing, bytesRead: 12, uniqueRead: 12, sectorsRead: 1 },
  },
  {
    name: 'asynchronous copies are reads',
    lines: [
      ...at(16),
      'mov.u32 %r1, room;',
      'mad.lo.s32 %r1, %t, 16, %r1;',
      'cp.async.cg.shared.global [%r1], [%at], 16;',
      'cp.async.wait_all;',
    ],
    counts: { ...nothing, bytesRead: 512, uniqueRead: 512, sectorsRead: 16 },
  },
  {
    name: 'atomics, of global and shared memory; they are no bytes',
    lines: [
      'mov.u32 %r1, room;',
      'setp.eq.u32 %p, %t, 0;',
      '@%p st.shared.u32 [%r1], %t;',
      'bar.sync 0;',
      'atom.shared.add.u32 %r2, [%r1], 1;',
      'atom.global.add.u32 %r2, [%in], 1;',
      '@%p atom.global.max.u32 %r2, [%in], 1;',
    ],
    counts: { ...nothing, atomics: 32 + 32 + 1 },
  },
  {
    name: 'shared memory is not counted as moved',
    lines: [
      'mov.u32 %r1, room;',
      'mad.lo.s32 %r1, %t, 4, %r1;',
      'st.shared.u32 [%r1], %t;',
      'ld.shared.u32 %r2, [%r1];',
    ],
    counts: nothing,
  },
];
for (const { name, lines, shape, counts } of cases) {
  t.test(name, { skip: noSimulator }, (t) => {
    t.match(counted(lines, shape), counts);
    t.end();
  });
}

t.test('sectors that a cache of two had lost, unless what came in between was streamed', { skip: noSimulator }, (t) => {
  const reads = (word: string): string[] => [0, 32, 64, 96].map((byte) => `ld.global${word}.u32 %r1, [%in+${byte}];`);
  const [first = '', ...others] = reads('');
  t.match(counted([first, ...others, first], {}, 64), { sectorsRead: 5, refetched: 32 });
  t.match(counted([first, ...reads('.cs').slice(1), first], {}, 64), { sectorsRead: 5, refetched: 0 });
  t.match(counted([first, ...others, first], {}, 256), { sectorsRead: 5, refetched: 0 });
  t.end();
});

t.test('instructions by class, one for a warp', { skip: noSimulator }, (t) => {
  const lines = [
    // integer: also moves, comparisons, bits, addresses
    'add.s32 %r1, %t, 1;',
    'setp.lt.s32 %p, %r1, 5;',
    'selp.b32 %r2, %r1, %t, %p;',
    'shl.b32 %r3, %r2, 2;',
    'cvta.to.global.u64 %at, %in;',
    // conversion
    'cvt.rn.f32.s32 %f1, %r1;',
    'cvt.rn.f32.s32 %f2, %t;',
    // floating
    'fma.rn.f32 %f1, %f1, %f2, %f2;',
    'add.f32 %f1, %f1, %f2;',
    'mul.f32 %f1, %f1, %f2;',
    // special
    'ex2.approx.ftz.f32 %f1, %f1;',
    'rcp.approx.ftz.f32 %f1, %f1;',
    // memory
    'ld.global.u32 %r4, [%at];',
    // warp
    'shfl.sync.idx.b32 %r5, %t, 0, 31, 0xffffffff;',
    'bar.warp.sync 0xffffffff;',
    'vote.sync.ballot.b32 %r6, %p, 0xffffffff;',
    // control
    'bar.sync 0;',
    'membar.gl;',
    'bra $on;',
    '$on:',
    // tensor
    'mov.u32 %r7, 0;',
    'mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0, %f1, %f2, %f3}, {%r7, %r7, %r7, %r7}, {%r7, %r7}, {%f0, %f1, %f2, %f3};',
  ];
  // With those before and after: ld.param, mov, and ret.
  const once = { integer: 7, floating: 3, conversion: 2, special: 2, memory: 2, control: 4, warp: 3, tensor: 1 };
  t.strictSame(counted(lines).instructions, once);
  const six = Object.fromEntries(Object.entries(once).map(([kind, n]) => [kind, 6 * n]));
  t.strictSame(counted(lines, { blocks: 3, threads: 64 }).instructions, six, 'of six warps');
  t.end();
});

t.test('an instruction that its predicate turns off for all lanes counts', { skip: noSimulator }, (t) => {
  const lines = ['setp.lt.u32 %p, %t, 0;', '@%p add.s32 %r1, %t, 1;'];
  t.match(counted(lines).instructions, { integer: 3, control: 1 });
  t.end();
});

t.test('a warp whose lanes part executes both ways', { skip: noSimulator }, (t) => {
  const lines = [
    'setp.lt.u32 %p, %t, 7;',
    '@%p bra $less;',
    'add.s32 %r1, %t, 1;',
    'bra $end;',
    '$less:',
    'add.s32 %r1, %t, 2;',
    'add.s32 %r1, %r1, 3;',
    '$end:',
    'bar.warp.sync 0xffffffff;',
  ];
  // mov, setp, and the three additions; both branches.
  t.match(counted(lines).instructions, { integer: 5, floating: 0 });
  t.end();
});

t.test('a file that exists is added to', { skip: noSimulator }, (t) => {
  const [ptx, counters] = [join(folder, '1.ptx'), join(folder, 'both.json')];
  for (let n = 0; n < 2; n++) launch(ptx, 'counted', Buffer.alloc(64), {}, { SECATEUR_GPUSIM_COUNTERS: counters });
  const lines = readFileSync(counters, 'utf8').trim().split('\n');
  t.strictSame(
    lines.map((line) => (JSON.parse(line) as { kernel: string }).kernel),
    ['counted', 'counted'],
  );
  t.end();
});

t.test('the documentation names every counter', { skip: noSimulator }, (t) => {
  const { instructions, ...others } = counted([]);
  const names = [...Object.keys(others), ...Object.keys(instructions).map((kind) => `instructions.${kind}`)];
  const text = readFileSync(join(packageRoot(), 'test/native/gpusim/README.md'), 'utf8');
  const [, table = ''] = text.split('## Counters');
  t.ok(names.length > 15, 'there are counters');
  t.strictSame(
    names.filter((name) => !table.includes(`\`${name}\``)),
    [],
    'test/native/gpusim/README.md names them all',
  );
  t.end();
});
