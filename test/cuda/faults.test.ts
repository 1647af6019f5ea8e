// What can go wrong with a GPU, each in a process of its own: the error says what came and what to do, and the CPU and
// the process live on.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { inProcess, noSimulator } from './gpu.js';

const opts = { skip: noSimulator };

/** Code that prints what a failing call throws, and then that the CPU computes. */
const failing = (call: string): string => `
  import { device, memory, synchronize, tensor } from 'lib/index.js';
  try { ${call}; console.log('no error'); } catch (e) { console.log(e.name, e.code, e.message); }
  console.log('cpu', [...tensor([1, 2]).add(1).data()].join());
  console.log('auto', device('auto'));
`;

const stubs = mkdtempSync(join(tmpdir(), 'secateur-libcuda-'));
t.teardown(() => rmSync(stubs, { recursive: true }));
/** A library of this C text. */
function stub(name: string, text: string): string {
  const source = join(stubs, `${name}.c`);
  const library = join(stubs, `${name}.so`);
  writeFileSync(source, text);
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, source]);
  return library;
}

const unavailable: readonly (readonly [string, () => Record<string, string>, RegExp])[] = [
  [
    'no driver',
    () => ({ SECATEUR_LIBCUDA: '/nonexistent/libcuda.so.1' }),
    /no NVIDIA driver: \/nonexistent\/libcuda\.so\.1.*Install the NVIDIA driver \(580 or later\), or use device 'cpu'/,
  ],
  [
    'a driver that lacks what is needed',
    () => ({ SECATEUR_LIBCUDA: stub('empty', 'int nothing;') }),
    /has no cuInit: the driver is too old\. Needs the 580 series/,
  ],
  [
    'a driver that is too old',
    () => ({ SECATEUR_GPUSIM_DRIVER: '12080' }),
    /supports CUDA 12\.8; needs 13\.0 \(driver 580 or later\)\. Update the driver/,
  ],
  ['no GPU', () => ({ SECATEUR_GPUSIM_DEVICES: '0' }), /error 100|sees no GPU/],
  ['a GPU that is too old', () => ({ SECATEUR_GPUSIM_ARCH: '75' }), /compute capability 7\.5; needs 8\.0 \(Ampere\)/],
];
for (const [name, env, says] of unavailable) {
  t.test(name, opts, (t) => {
    const { status, out, err } = inProcess(failing("tensor([1], { device: 'cuda' })"), env());
    t.equal(status, 0, err);
    t.match(out, /^SecateurError ERR_CUDA_UNAVAILABLE /);
    t.match(out, says);
    t.match(out, /\ncpu 2,3\nauto cpu\n$/, 'the CPU works on, and auto means the CPU');
    t.end();
  });
}

t.test('the backend is not built', opts, (t) => {
  // The addon by itself in another folder.
  const addon = join(stubs, 'secateur.node');
  execFileSync('cp', [join(import.meta.dirname, '../../../build/Release/secateur.node'), addon]);
  const { status, out, err } = inProcess(failing("device('cuda')"), { SECATEUR_ADDON: addon });
  t.equal(status, 0, err);
  t.match(
    out,
    /ERR_CUDA_UNAVAILABLE the CUDA backend is not built.*no nvcc.*npm rebuild secateur, or use device 'cpu'/,
  );
  t.match(out, /\ncpu 2,3\nauto cpu\n$/);
  t.end();
});

t.test('out of memory there', opts, (t) => {
  const { status, out, err } = inProcess(
    `
    import { memory, tensor, zeros } from 'lib/index.js';
    const held = zeros([6, 2 ** 18], { device: 'cuda' });
    zeros([2 ** 18], { device: 'cuda' }).dispose();
    const ask = () => zeros([4, 2 ** 18], { device: 'cuda' });
    try { ask(); } catch (e) { console.log(e.code, e.message); }
    console.log('still', held.sum().item(), memory.stats('cuda').live >> 20);
    held.dispose();
    console.log('freed', ask().sum().item());
    console.log('cpu', tensor([1]).add(1).item());
    `,
    { SECATEUR_GPUSIM_MEMORY: String(8 << 20) },
  );
  t.equal(status, 0, err);
  t.match(
    out,
    /^ERR_OOM (?:\w+: )?out of memory on cuda: 4 MiB requested, 6 MiB live, \d MiB cached, limit 8 MiB.*dispose tensors/,
  );
  t.match(out, /still 0 6\nfreed 0\ncpu 2\n$/);
  t.end();
});

t.test('no scratch memory while the cache has it all', opts, (t) => {
  const { status, out, err } = inProcess(
    `
    import { ones, scatterAdd, scope, zeros } from 'lib/index.js';
    const on = { device: 'cuda' };
    for (const t of [zeros([2 ** 20], on), zeros([2 ** 20], on), zeros([2 ** 20], on)]) t.dispose();
    // In bf16 the sums are made in f32, in scratch memory.
    const x = zeros([1_100_000], { dtype: 'bf16', ...on });
    const index = zeros([1], { dtype: 'i32', ...on }), one = ones([1], { dtype: 'bf16', ...on });
    const add = () => scope(() => scatterAdd(x, 0, index, one).narrow(0, 0, 1).item());
    try { add(); } catch (e) { console.log(e.code, e.message); }
    console.log('again', add());
    `,
    { SECATEUR_GPUSIM_MEMORY: String(16 << 20) },
  );
  t.equal(status, 0, err);
  t.match(out, /^ERR_OOM scatterAdd: 4400128 bytes of scratch memory: CUDA_ERROR_OUT_OF_MEMORY.*\nagain 1\n$/);
  t.end();
});

t.test('a kernel that faults', opts, (t) => {
  const { status, out, err } = inProcess(
    `
    import { memory, synchronize, tensor } from 'lib/index.js';
    const x = tensor([1, 2, 3], { device: 'cuda' });
    const caught = (what, call) => {
      try { call(); console.log(what, 'no error'); } catch (e) { console.log(what, e.code, e.message); }
    };
    x.exp().dispose();
    synchronize('cuda');
    caught('fault', () => x.relu().data());
    caught('later', () => x.add(1).data());
    caught('new', () => { tensor([1], { device: 'cuda' }); synchronize('cuda'); });
    caught('read', () => x.data());
    x.dispose();
    console.log('cpu', [...tensor([1, 2]).relu().data()].join());
    `,
    { SECATEUR_GPUSIM_FAULT: 'relu_f32' },
  );
  t.equal(status, 0, err);
  t.match(
    out,
    /^fault ERR_CUDA relu: .*CUDA_ERROR_ILLEGAL_ADDRESS.*The device cuda:0 is lost to this process: restart it.*device 'cpu' works on/,
  );
  for (const what of ['later', 'new', 'read'])
    t.match(out, new RegExp(`${what} ERR_CUDA .*the GPU was lost to an earlier fault \\(.*relu.*\\)`), what);
  t.match(out, /\ncpu 1,2\n$/);
  t.end();
});

t.test('an index out of range is an error, not a fault', opts, (t) => {
  const { status, out, err } = inProcess(`
    import { embedding, oneHot, synchronize, tensor } from 'lib/index.js';
    const table = tensor([1, 2, 3, 4], { shape: [2, 2], device: 'cuda' });
    try { embedding(table, tensor(Int32Array.of(0, 5), { device: 'cuda' })).data(); } catch (e) { console.log(e.code, e.message); }
    console.log('works', table.sum().item());
  `);
  t.equal(status, 0, err);
  t.match(out, /^ERR_KERNEL .*index 5 at position 1 is outside the extent 2/);
  t.match(out, /works 10\n$/);
  t.end();
});

const doctor = join(import.meta.dirname, '../../src/cli/main.js');
interface Finding {
  readonly name: string;
  readonly ok?: boolean;
  readonly found: string;
  readonly mend?: string;
}
function runDoctor(env: Readonly<Record<string, string>>): { findings: Finding[]; text: string } {
  const run = (...args: string[]): string =>
    inProcess(
      `process.argv = ['node', 'secateur', 'doctor', ...${JSON.stringify(args)}]; await import('${doctor}');`,
      env,
    ).out;
  return { findings: JSON.parse(run('--json')) as Finding[], text: run() };
}

t.test('doctor sees the GPU, and what is missing', opts, (t) => {
  const { findings, text } = runDoctor({});
  const find = (name: string): Finding | undefined => findings.find((f) => f.name === name);
  t.match(find('GPU')?.found, /^Simulated GPU.*compute capability 8\.0.*8\.0 GiB, driver for CUDA 13\.0/);
  t.equal(find('CUDA backend')?.ok, true);
  t.match(text, /ok +GPU +Simulated GPU/);
  const none = runDoctor({ SECATEUR_LIBCUDA: '/nonexistent/libcuda.so.1' });
  const gpu = none.findings.find((f) => f.name === 'GPU');
  t.equal(gpu?.ok, undefined, 'not needed');
  t.match(gpu, { found: /no NVIDIA driver/, mend: /install the NVIDIA driver/ });
  t.match(none.text, /none +GPU +not used: .*\n +mend: install the NVIDIA driver/);
  const lost = runDoctor({ SECATEUR_LIBCUDNN: '/nonexistent/libcudnn.so.9' });
  t.match(lost.text, /none +cuDNN .*\n +looked in: .*nonexistent.*\n +mend: pip install nvidia-cudnn-cu13/i);
  t.end();
});

t.test('a driver that crashes does not take doctor down', opts, (t) => {
  const path = stub('aborts', '#include <stdlib.h>\n__attribute__((constructor)) static void start(void) { abort(); }');
  const { findings, text } = runDoctor({ SECATEUR_LIBCUDA: path });
  const gpu = findings.find((f) => f.name === 'GPU');
  t.match(gpu, {
    found: /ended by SIGABRT: the NVIDIA driver or its libraries are broken/,
    mend: /install the NVIDIA driver/,
  });
  t.match(text, /native part/);
  t.end();
});

t.test('importing the package touches no CUDA library', opts, (t) => {
  const { status, out, err } = inProcess(`
    import { readFileSync } from 'node:fs';
    import { tensor } from 'lib/index.js';
    import 'lib/nn/index.js';
    import 'src/pdp/index.js';
    const mapped = () => readFileSync('/proc/self/maps', 'utf8').match(/lib(secateur_)?(cuda|cudnn|cublas|nccl|nvrtc)[^ ]*\\.so/g) ?? [];
    console.log('import', mapped().length);
    tensor([1]).add(1).data();
    console.log('cpu', mapped().length);
    tensor([1], { device: 'cuda' });
    console.log('cuda', mapped().length > 0);
  `);
  t.equal(status, 0, err);
  t.match(out, /^import 0\ncpu 0\ncuda true\n$/);
  t.end();
});
