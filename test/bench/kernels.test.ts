// What the kernel bench says of machine code: the rules every kernel keeps, the occupancy against the vendor's own
// calculator, and the bytes the pruning kernels promise.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { bytesMoved, countWork } from '../../bench/kernels.js';
import type { Work } from '../../bench/callWork.js';
import type { KernelRow } from '../../bench/kernelRow.js';
import { work } from '../../bench/kernelWork.js';
import { builtKernels } from '../../bench/machineCode.js';
import { multiprocessors, occupancy } from '../../bench/occupancy.js';

const build = join(packageRoot(), 'build');
const noImages = existsSync(join(build, 'images')) ? false : 'the build found no nvcc: there are no CUDA kernels';
const noSimulator = existsSync(join(packageRoot(), 'build-gpusim/libcuda.so.1'))
  ? false
  : 'the simulated GPU is not built';

t.test('machine code', { skip: noImages }, (t) => {
  const kernels = builtKernels(build);
  t.ok(kernels.length > 0, 'there are kernels');
  const named = (k: { kernel: string; arch: number }): string => `${k.kernel} sm_${k.arch}`;
  t.strictSame(kernels.filter((k) => k.registers < 8 || k.registers > 255).map(named), [], 'registers are read');
  t.strictSame(kernels.filter((k) => k.paramBytes === 0).map(named), [], 'parameters are read');
  const local = kernels.filter((k) => k.spillBytes + k.counts.localLoad + k.counts.localStore > 0);
  t.strictSame(local.map(named), [], 'no kernel spills or indexes a local array');
  const { size } = statSync(join(build, 'Release/libsecateur_cuda.so'));
  t.ok(size < 15e6, `the backend with all its machine code has ${(size / 1e6).toFixed(1)} MB, at most 15`);
  t.strictSame(kernels.filter((k) => k.counts.double > 0).map(named), [], 'no kernel computes in double');
  const nm = kernels.filter((k) => k.stem === 'nmMask');
  t.ok(nm.length > 0 && nm.every((k) => k.sharedBytes === 0), 'masks within groups are made in registers alone');
  for (const [name, bits] of [
    ['pdpWeight_f32', 128],
    ['pdpWeightGrad_bf16', 128],
  ] as const) {
    const mine = kernels.filter((k) => k.kernel === name);
    t.ok(
      mine.length > 0 && mine.every((k) => k.loadBits === bits && k.storeBits === bits),
      `${name} moves ${bits} bits at a time on every architecture`,
    );
  }
  t.end();
});

const nvcc = process.env['CUDA_HOME'] ?? '/usr/local/cuda-13.0';
const header = join(nvcc, 'include/cuda_occupancy.h');

t.test(
  'occupancy agrees with the vendor’s calculator',
  {
    skip: existsSync(header) ? false : `${header} is not there`,
  },
  (t) => {
    const settings = Object.entries(multiprocessors).flatMap(([arch, m]) =>
      [32, 96, 128, 256, 512, 1024].flatMap((threads) =>
        [16, 32, 40, 64, 128].flatMap((registers) =>
          [0, 100, 16384, 49152].map((sharedBytes) => ({ arch: Number(arch), m, threads, registers, sharedBytes })),
        ),
      ),
    );
    const calls = settings.map(
      ({ arch, m, threads, registers, sharedBytes }) =>
        `show(${Math.floor(arch / 10)}, ${arch % 10}, ${m.warps}, ${m.sharedBytes}, ${threads}, ${registers}, ${sharedBytes});`,
    );
    const folder = mkdtempSync(join(tmpdir(), 'secateur-occupancy-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    writeFileSync(
      join(folder, 'show.cpp'),
      `#include <cstdio>
#include "cuda_occupancy.h"
void show(int major, int minor, int warps, size_t shared, int threads, int registers, size_t own) {
  cudaOccDeviceProp p;
  p.computeMajor = major; p.computeMinor = minor; p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiprocessor = 32 * warps; p.regsPerBlock = 65536; p.regsPerMultiprocessor = 65536;
  p.warpSize = 32; p.sharedMemPerBlock = 49152; p.sharedMemPerMultiprocessor = shared; p.numSms = 1;
  p.sharedMemPerBlockOptin = shared - 1024; p.reservedSharedMemPerBlock = 1024;
  cudaOccFuncAttributes a;
  a.maxThreadsPerBlock = 1024; a.numRegs = registers; a.sharedSizeBytes = own;
  a.partitionedGCConfig = PARTITIONED_GC_OFF; a.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
  a.maxDynamicSharedSizeBytes = shared;
  cudaOccDeviceState s; s.carveoutConfig = -1;
  cudaOccResult r = {};
  const auto status = cudaOccMaxActiveBlocksPerMultiprocessor(&r, &p, &a, &s, threads, 0);
  std::printf("%d\\n", status == CUDA_OCC_SUCCESS ? r.activeBlocksPerMultiprocessor : -1);
}
int main() { ${calls.join('\n')} }
`,
    );
    const made = spawnSync('g++', ['-I', join(nvcc, 'include'), '-o', join(folder, 'show'), join(folder, 'show.cpp')], {
      encoding: 'utf8',
    });
    t.equal(made.status, 0, made.stderr);
    const lines = spawnSync(join(folder, 'show'), { encoding: 'utf8' }).stdout.trim().split('\n').map(Number);
    t.equal(lines.length, settings.length);
    t.ok(lines.some((blocks) => blocks > 1));
    const wrong = settings.flatMap(({ arch, m, threads, registers, sharedBytes }, i) => {
      const mine = Math.round(((occupancy(arch, { threads, registers, sharedBytes }) ?? -1) * m.warps * 32) / threads);
      return mine === lines[i]
        ? []
        : [`sm_${arch} ${threads} threads ${registers} registers ${sharedBytes} B: ${mine} for ${lines[i]}`];
    });
    t.strictSame(wrong, []);
    t.end();
  },
);

t.test('products with 2:4 weights run on sparse tensor cores', { skip: noImages }, (t) => {
  const kernels = builtKernels(build);
  const architectures = [...new Set(kernels.map((k) => k.arch))];
  for (const arch of architectures) {
    const here = kernels.filter((k) => k.arch === arch);
    const sparse = here.filter((k) => /^(linear24|conv2d24)/.test(k.kernel));
    t.ok(sparse.some((k) => k.kernel.startsWith('linear24')) && sparse.some((k) => k.kernel.startsWith('conv2d24')));
    for (const k of sparse) {
      t.ok(k.counts.sparseTensor > 0, `sm_${arch}: ${k.kernel} has HMMA.SP`);
      t.equal(k.counts.tensor, k.counts.sparseTensor, `sm_${arch}: ${k.kernel} has no dense HMMA`);
    }
    const dense = here.filter((k) => k.stem === 'matmul' && k.counts.tensor > 0);
    t.ok(dense.length > 0, `sm_${arch}: dense products run on tensor cores too`);
    t.ok(
      dense.every((k) => k.counts.sparseTensor === 0),
      'and are not taken for sparse ones',
    );
  }
  t.end();
});

// Bytes an element that each piece of work may move. Beyond the floor are a few bytes a launch (thresholds, counts, tables
// of tensors), partial sums, and about 0.1 for the keys that a selection collects.
const allowed: Readonly<Record<string, number>> = {
  'threshold, warm': 4.1,
  'PDP mask forward, f32 to f32': 8.001,
  'PDP mask forward, f32 to bf16': 6.001,
  'PDP mask backward, f32': 12.001,
  'PDP mask backward, bf16': 10.001,
  "thresholds of ResNet-50's 54 layers at a hundredth of their size": 4.1,
  '2:4 soft mask, f32 to bf16': 6.001,
  '2:4 soft mask backward, bf16': 10.001,
  '1:4 hard mask': 8.001,
  '2:4 hard mask': 8.001,
  '2:8 hard mask': 8.001,
  '4:8 hard mask': 8.001,
  'SGD with momentum': 20.001,
  AdamW: 28.001,
  'SGD with momentum and PDP in one launch, bf16': 20.3,
  'SGD with momentum and PDP, a layer larger than the L2': 24.3,
  'SGD with momentum and PDP, clipped by the global norm': 26.3,
  'AdamW and PDP in one launch, bf16': 28.3,
  'AdamW and PDP, a layer larger than the L2': 32.3,
  'AdamW and PDP, clipped by the global norm': 34.3,
  'batch norm + ReLU, bf16': 6.3,
  'batch norm + ReLU backward, bf16': 10.5,
  'layer norm, bf16': 4.2,
  'layer norm backward, bf16': 6.3,
  'cross-entropy, bf16': 2.1,
  'cross-entropy backward, bf16': 4.2,
  'pack24 of W and its transpose, bf16': 4.4,
  'pack24 of W and its transpose, f32': 6.4,
};
// Most are one launch; statistics are added up by a second or third one, and clipping needs the norm first.
const launches = (name: string): number => {
  if (name.startsWith('batch norm') || name.endsWith('clipped by the global norm')) return 3;
  return name === 'layer norm backward, bf16' || name === 'cross-entropy, bf16' ? 2 : 1;
};

t.test('bytes an element, counted on the simulated GPU', { skip: noImages || noSimulator }, (t) => {
  for (const [name, most] of Object.entries(allowed)) {
    const one = work.find((w) => w.name === name) as Work;
    const counted = countWork(one);
    const bytes = counted.reduce((sum, c) => sum + bytesMoved(c), 0) / one.elements;
    t.ok(bytes <= most, `${name}: ${bytes} bytes an element, at most ${most}`);
    t.ok(bytes > 0.98 * one.floorBytes, `${name}: no less than the floor, ${one.floorBytes}`);
    t.equal(
      counted.reduce((sum, c) => sum + c.launches, 0),
      launches(name),
      `${name}: launches`,
    );
  }
  t.end();
});

t.test('with a GPU the bench adds times, and writes what it printed', { skip: noImages || noSimulator }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'secateur-kernels-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const out = join(folder, 'rows.jsonl');
  const main = join(packageRoot(), 'dist/bench/main.js');
  const bench = (env: Readonly<Record<string, string>>, ...more: readonly string[]) => {
    const args = [main, 'kernels', '--json', '--arch', 'sm_80', '--rounds', '1', '--scale', '1', ...more];
    const child = spawnSync(process.execPath, args, { env: { ...process.env, ...env }, encoding: 'utf8', cwd: folder });
    t.equal(child.status, 0, child.stderr);
    return child.stdout;
  };
  // The simulated GPU stands in, with a library on it; its times are those of the simulation.
  const gpu = {
    SECATEUR_LIBCUDA: join(packageRoot(), 'build-gpusim/libcuda.so.1'),
    SECATEUR_LIBCUBLASLT: join(packageRoot(), 'build-gpusim/fakes/libcublasLt.so'),
  };
  const printed = bench(gpu, '--filter', 'linear layer, 2:4', '--out', out).trim().split('\n');
  const [head, ...rows] = readFileSync(out, 'utf8').trim().split('\n');
  t.match(JSON.parse(head as string), { gpu: { name: /^Simulated GPU/, arch: 'sm_80', libraries: ['cuBLASLt'] } });
  t.strictSame(rows, printed);
  const timed = rows.map((r) => JSON.parse(r) as KernelRow).filter((r) => r.scale !== null);
  t.equal(timed.length, 1);
  const [row] = timed as [KernelRow];
  t.match(row, { kernel: 'linear24Large', arch: 'sm_80', scale: 1, vendor: 'cuBLASLt', gbPerSecond: null });
  const positive = [row.microseconds, row.tflops, row.vendorMicroseconds, row.vendorTflops];
  t.ok(
    positive.every((x) => x !== null && x > 0),
    'times and rates',
  );
  const flops = 2 * 512 * 1024 * 1024;
  const again = flops / (row.microseconds as number) / 1e6;
  t.ok(Math.abs((row.tflops as number) / again - 1) < 1e-3, 'TFLOP/s follow from the time');
  const copy = JSON.parse(
    bench({ ...gpu }, '--filter', 'copy, f32')
      .trim()
      .split('\n')[1] as string,
  ) as KernelRow;
  t.ok((copy.gbPerSecond as number) > 0 && copy.tflops === null && copy.vendor === null, 'a copy has GB/s');
  t.ok(
    readdirSync(folder).some((f) => /^kernels-simulated-gpu.*\.jsonl$/.test(f)),
    'a results file without being asked',
  );
  t.end();
});

t.test('tuning needs a GPU and says so', { skip: noImages }, (t) => {
  const args = [join(packageRoot(), 'dist/bench/main.js'), 'kernels', '--tune', '/nowhere/table.json'];
  const none = { ...process.env, SECATEUR_LIBCUDA: '/nowhere/libcuda.so.1' };
  const child = spawnSync(process.execPath, args, { env: none, encoding: 'utf8' });
  t.equal(child.status, 1);
  t.match(child.stderr, /libcuda/);
  t.equal(child.stdout, '');
  t.end();
});
