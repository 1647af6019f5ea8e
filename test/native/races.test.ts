// What the simulated GPU takes for a race and what not: one block writes, another reads, and between them is more or
// less of what the PTX ISA's memory consistency model asks for. Small kernels, each with one thing changed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { launch } from './launch.js';
import { noSimulator } from './simulated.js';

const folder = mkdtempSync(join(tmpdir(), 'secateur-races-'));
t.teardown(() => rmSync(folder, { recursive: true }));

const threads = 64;
/**
 * A kernel of two blocks. %flag, %flag2: addresses of words that are 0; %data: of this thread's word; %other: of that of
 * a thread in the other warp; %near: of that of a lane beside this one; %t: the thread; %first: whether it is thread 0.
 */
const kernel = (first: string, second: string): string => `.version 8.5
.target sm_80
.address_size 64
.visible .entry race(.param .u64 words)
{
  .reg .b32 %r<8>, %t, %v;
  .reg .b16 %h;
  .reg .b64 %rd<4>, %flag, %flag2, %data, %other, %near;
  .reg .pred %p, %first, %q;
  .shared .align 4 .b8 room[256];
  ld.param.u64 %flag, [words];
  cvta.to.global.u64 %flag, %flag;
  add.s64 %flag2, %flag, 64;
  mov.u32 %t, %tid.x;
  setp.eq.u32 %first, %t, 0;
  mul.wide.u32 %rd1, %t, 4;
  add.s64 %data, %flag, %rd1;
  add.s64 %data, %data, 128;
  add.s32 %r1, %t, 33;
  and.b32 %r1, %r1, 63;
  mul.wide.u32 %rd1, %r1, 4;
  add.s64 %other, %flag, %rd1;
  add.s64 %other, %other, 128;
  xor.b32 %r1, %t, 1;
  mul.wide.u32 %rd1, %r1, 4;
  add.s64 %near, %flag, %rd1;
  add.s64 %near, %near, 128;
  mov.u32 %r1, %ctaid.x;
  setp.ne.u32 %p, %r1, 0;
  @%p bra $second;
${first}
  ret;
$second:
${second}
  ret;
}
`;

const write = 'st.global.u32 [%data], %t;';
const read = 'ld.global.u32 %v, [%other];';
/** Thread 0 does something while the others go on. */
let labels = 0;
const alone = (...lines: string[]): string => {
  const label = `$alone${labels++}`;
  return [`@!%first bra ${label};`, ...lines, `${label}:`].join('\n');
};
const barrier = 'bar.sync 0;';
const fence = 'membar.gl;';
const raise = 'atom.global.exch.b32 %v, [%flag], 1;';
/** Until the flag is up, by the load `how`. */
const wait = (how = 'ld.volatile.global.u32', flag = '%flag'): string => {
  const label = `$wait${labels++}`;
  return [`${label}:`, `${how} %v, [${flag}];`, 'setp.eq.u32 %p, %v, 0;', `@%p bra ${label};`].join('\n');
};
const producer = [write, barrier, alone(fence, raise)];
const consumer = [alone(wait(), fence), barrier, read];

const between = /on global memory .*: thread \d+ of block \d+ (?:wrote|read) it and nothing orders the two/;
const within = /race on global memory .*: thread \d+ of block \d+ (?:wrote|read) it and no barrier lies between/;
const shared = /race on shared memory/;

interface Case {
  readonly name: string;
  readonly first: readonly string[];
  readonly second?: readonly string[];
  readonly says?: RegExp;
}
const cases: readonly Case[] = [
  { name: 'a fence and a flag, a flag and a fence', first: producer, second: consumer },
  { name: 'no fence before the flag', first: [write, barrier, alone(raise)], second: consumer, says: between },
  { name: 'no fence after the flag', first: producer, second: [alone(wait()), barrier, read], says: between },
  {
    name: 'the fence comes before the writes',
    first: [fence, write, barrier, alone(raise)],
    second: consumer,
    says: between,
  },
  {
    name: 'a fence of the block alone',
    first: [write, barrier, alone('membar.cta;', raise)],
    second: consumer,
    says: between,
  },
  {
    name: 'no barrier before the flag: the other warp is left out',
    first: [write, alone(fence, raise)],
    second: consumer,
    says: between,
  },
  {
    name: 'no barrier before the flag, though every thread has its fence',
    first: [write, fence, alone(raise)],
    second: consumer,
    says: between,
  },
  {
    name: 'every thread has its fence, then a barrier and the flag by a thread that has one too',
    first: [write, fence, barrier, alone(raise)],
    second: consumer,
    says: between,
  },
  { name: 'the others do not wait for thread 0', first: producer, second: [alone(wait(), fence), read], says: between },
  {
    name: 'the flag is read like data',
    first: producer,
    second: [alone(wait('ld.global.u32'), fence), barrier, read],
    says: between,
  },
  {
    name: 'the flag is written like data',
    first: [write, barrier, alone(fence, 'st.global.u32 [%flag], 1;')],
    second: consumer,
    says: between,
  },
  {
    name: 'the fence is another thread’s than the flag',
    first: [write, barrier, 'setp.eq.u32 %q, %t, 1;', '@%q membar.gl;', barrier, alone(raise)],
    second: consumer,
    says: between,
  },
  {
    name: 'st.release and ld.acquire',
    first: [write, barrier, alone('st.release.gpu.global.u32 [%flag], 1;')],
    second: [alone(wait('ld.acquire.gpu.global.u32')), barrier, read],
  },
  {
    name: 'st.relaxed and ld.relaxed',
    first: [write, barrier, alone('st.relaxed.gpu.global.u32 [%flag], 1;')],
    second: [alone(wait('ld.relaxed.gpu.global.u32')), barrier, read],
    says: between,
  },
  {
    name: 'atom.acq_rel on both sides',
    first: [write, barrier, alone('atom.acq_rel.gpu.global.add.u32 %v, [%flag], 1;')],
    second: [
      alone('$again:', 'atom.acq_rel.gpu.global.add.u32 %v, [%flag], 0;', 'setp.eq.u32 %p, %v, 0;', '@%p bra $again;'),
      barrier,
      read,
    ],
  },
  {
    name: 'the flag is counted up once more in between, by an atomic',
    first: [write, barrier, alone(fence, raise), barrier, alone('atom.global.add.u32 %v, [%flag], 1;')],
    second: consumer,
  },
  {
    name: 'written once published: the second write is not',
    first: [...producer, write],
    second: consumer,
    says: between,
  },
  {
    name: 'read, then written by the other block after a flag',
    first: ['ld.global.u32 %v, [%data];', barrier, alone(fence, raise)],
    second: [alone(wait(), fence), barrier, 'st.global.u32 [%other], %t;'],
  },
  {
    name: 'read, and written by the other block at any time',
    first: ['ld.global.u32 %v, [%data];'],
    second: ['st.global.u32 [%other], %t;'],
    says: between,
  },
  { name: 'both blocks write', first: [write], second: [write], says: between },
  { name: 'both blocks read', first: [read], second: [read] },
  {
    name: 'both blocks count with atomics',
    first: ['atom.global.add.u32 %v, [%flag], 1;'],
    second: ['atom.global.add.u32 %v, [%flag], 1;'],
  },
  {
    name: 'one counts with atomics, one without',
    first: ['atom.global.add.u32 %v, [%flag], 1;'],
    second: [alone('ld.global.u32 %v, [%flag];', 'add.s32 %v, %v, 1;', 'st.global.u32 [%flag], %v;')],
    says: between,
  },
  {
    name: 'neighbouring halves of a word',
    first: ['st.global.b16 [%data], %h;'],
    second: ['st.global.b16 [%data+2], %h;'],
  },
  {
    name: 'the same half of a word',
    first: ['st.global.b16 [%data+2], %h;'],
    second: ['st.global.b16 [%data+2], %h;'],
    says: between,
  },
  { name: 'two warps, a barrier', first: [write, barrier, read] },
  { name: 'two warps, no barrier', first: [write, read], says: within },
  { name: 'two lanes in step', first: [write, 'bar.warp.sync 0xffffffff;', 'ld.global.u32 %v, [%near];'] },
  {
    name: 'two lanes, a shuffle, which orders nothing',
    first: [write, 'shfl.sync.idx.b32 %v, %t, 0, 31, 0xffffffff;', 'ld.global.u32 %v, [%near];'],
    says: within,
  },
  {
    name: 'a lane acquires for its warp',
    first: producer,
    second: [alone(wait(), fence), 'bar.warp.sync 0xffffffff;', 'setp.lt.u32 %q, %t, 32;', `@%q ${read}`],
  },
  {
    name: 'shared memory: read by several lanes, then written by one of them',
    first: [
      'mov.u32 %r1, room;',
      alone('st.shared.u32 [%r1], %t;'),
      barrier,
      'ld.shared.u32 %v, [%r1];',
      alone('st.shared.u32 [%r1], %t;'),
    ],
    says: shared,
  },
  {
    name: 'shared memory: halves of a word, each its thread’s own',
    first: [
      'mov.u32 %r1, room;',
      'mad.lo.s32 %r1, %t, 2, %r1;',
      'st.shared.b16 [%r1], %h;',
      'ld.shared.b16 %h, [%r1];',
    ],
  },
  {
    name: 'shared memory: halves of a word, the neighbour’s',
    first: [
      'mov.u32 %r1, room;',
      'mad.lo.s32 %r1, %t, 2, %r1;',
      'st.shared.b16 [%r1], %h;',
      'xor.b32 %r1, %r1, 2;',
      'ld.shared.b16 %h, [%r1];',
    ],
    says: shared,
  },
  {
    name: 'shared memory: read, then an atomic by another warp',
    first: [
      'mov.u32 %r1, room;',
      alone('st.shared.u32 [%r1], %t;'),
      barrier,
      alone('ld.shared.u32 %v, [%r1];'),
      'setp.eq.u32 %q, %t, 40;',
      '@%q atom.shared.add.u32 %v, [%r1], 1;',
    ],
    says: shared,
  },
];

t.test('what one thread has acquired goes on to the next', { skip: noSimulator }, (t) => {
  // Block 0 publishes to block 1 by one flag, block 1 to itself by another: nothing it knows is lost on the way.
  const second = [
    alone(wait(), fence, 'atom.global.exch.b32 %v, [%flag2], 1;'),
    wait('ld.volatile.global.u32', '%flag2'),
  ];
  const file = join(folder, 'chain.ptx');
  const says = (lines: readonly string[]): string => {
    writeFileSync(file, kernel(producer.join('\n'), lines.join('\n')));
    return launch(file, 'race', Buffer.alloc(512), { blocks: 2, threads }).complaint;
  };
  t.equal(says([...second, fence, read]), '', 'by way of thread 0');
  t.match(says([...second, read]), between, 'but not without a fence');
  t.end();
});

for (const { name, first, second = [], says } of cases) {
  t.test(name, { skip: noSimulator }, (t) => {
    const file = join(folder, 'race.ptx');
    writeFileSync(file, kernel(first.join('\n'), second.join('\n')));
    for (const seed of ['1', '2', '3']) {
      const { complaint } = launch(
        file,
        'race',
        Buffer.alloc(512),
        { blocks: second.length > 0 ? 2 : 1, threads },
        { SECATEUR_GPUSIM_SEED: seed },
      );
      if (says === undefined) t.equal(complaint, '', `in order ${seed}`);
      else t.match(complaint, says, `in order ${seed}`);
    }
    t.end();
  });
}
