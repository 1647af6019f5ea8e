// The backend with NVIDIA's libraries, played by strict stand-ins on the simulated GPU: the conformance suite of the ops
// that ask them, captured steps, and the stand-ins' own strictness.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';

const root = packageRoot();
const simulator = join(root, 'build-gpusim/libcuda.so.1');
const fake = (file: string): string => join(root, 'build-gpusim/fakes', file);
const backend = existsSync(join(root, 'build/Release/libsecateur_cuda.so'));
const skip = !backend
  ? 'the CUDA backend is not built: no nvcc'
  : existsSync(fake('misuse')) && existsSync(simulator)
    ? false
    : 'the simulated GPU is not built: node scripts/build.mjs --gpusim';

const folder = mkdtempSync(join(tmpdir(), 'secateur-fakes-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  /** How often each library was given work. */
  readonly calls: Readonly<Record<string, number>>;
}

let runs = 0;
function run(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Outcome {
  const counted = join(folder, `calls${runs++}`);
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      SECATEUR_LIBCUDA: simulator,
      SECATEUR_LIBCUDNN: fake('libcudnn.so'),
      SECATEUR_LIBCUBLASLT: fake('libcublasLt.so'),
      // Kernels of our own are looked at for races in their own run.
      SECATEUR_GPUSIM_RACES: '0',
      SECATEUR_FAKES_CALLS: counted,
      ...environment,
    },
  });
  const lines = existsSync(counted) ? readFileSync(counted, 'utf8').trim().split('\n') : [];
  const calls = Object.fromEntries(lines.map((line) => line.split(' ')).map(([name = '', n]) => [name, Number(n)]));
  return { status, out: `${stdout}${stderr}`, calls };
}

t.test('the stand-ins refuse wrong uses and take right ones', { skip }, (t) => {
  const { status, out } = run(fake('misuse'), []);
  t.equal(status, 0, 'it runs to its end');
  const lines = out.split('\n').filter((line) => /^(ok|WRONG) /.test(line));
  t.ok(lines.length > 40, 'there are uses');
  for (const line of lines) t.match(line, /^ok /, line.replace(/^\w+ /, ''));
  t.end();
});

t.test('ranks meet in collectives through the table of NCCL, and wrong uses are refused', { skip }, (t) => {
  const { status, out, calls } = run(fake('ranks'), [], { SECATEUR_LIBNCCL: fake('libnccl.so') });
  t.equal(status, 0, 'it runs to its end');
  const lines = out.split('\n').filter((line) => /^(ok|WRONG) /.test(line));
  t.ok(lines.length > 25, 'there are uses');
  for (const line of lines) t.match(line, /^ok /, line.replace(/^\w+ /, ''));
  // Four of three ranks, one of two and one of one: whoever comes last does the work.
  t.match(calls, { nccl: 6 });
  t.end();
});

t.test('conformance with the libraries', { skip }, (t) => {
  const { status, out, calls } = run(process.execPath, [join(root, 'dist/test/ops.conform.test.js')], {
    SECATEUR_TEST_DEVICE: 'cuda',
    SECATEUR_TEST_OPS: 'conv2d,linearActivation,matmul,scaledDotProductAttention',
    SECATEUR_NO_CACHE: '1',
    TAP: '1',
    TAP_TIMEOUT: '900',
  });
  const bad = out.split('\n').filter((line) => /^ *not ok|^fake /.test(line));
  t.strictSame(bad, [], 'every case passes, and no call is refused');
  t.equal(status, 0, 'it runs to its end');
  t.ok((calls['cublasLt'] ?? 0) > 50, `cuBLASLt was given ${calls['cublasLt']} products`);
  t.ok((calls['cudnn'] ?? 0) > 50, `cuDNN was given ${calls['cudnn']} graphs`);
  t.end();
});

t.test('batch norm goes through cuDNN where it is wanted', { skip }, (t) => {
  const conformance = (wanted: Readonly<Record<string, string>>) =>
    run(process.execPath, [join(root, 'dist/test/ops.conform.test.js')], {
      SECATEUR_TEST_DEVICE: 'cuda',
      SECATEUR_TEST_OPS: 'batchNorm',
      SECATEUR_NO_CACHE: '1',
      TAP: '1',
      TAP_TIMEOUT: '900',
      ...wanted,
    });
  const { status, out, calls } = conformance({ SECATEUR_CUDNN_BATCH_NORM: '1' });
  t.strictSame(out.match(/^ *not ok.*|^fake .*/gm) ?? [], [], 'every case passes, and no call is refused');
  t.equal(status, 0, 'it runs to its end');
  t.ok((calls['cudnn'] ?? 0) > 10, `cuDNN was given ${calls['cudnn']} graphs`);
  t.notOk(conformance({}).calls['cudnn'], 'and is not asked where it is not');
  t.end();
});

t.test('a library that is not wanted is not asked', { skip }, (t) => {
  const script = `import { tensor, matmul } from '${join(root, 'dist/lib/index.js')}';
    const a = tensor([1, 2, 3, 4], { shape: [2, 2], device: 'cuda' });
    console.log(JSON.stringify([...matmul(a, a).data()]));`;
  const node = ['--input-type=module', '-e', script];
  const asked = run(process.execPath, node);
  t.match(asked, { status: 0, out: '[7,10,15,22]', calls: { cublasLt: 1 } });
  const own = run(process.execPath, node, { SECATEUR_LIBCUBLASLT: 'none' });
  t.match(own, { status: 0, out: '[7,10,15,22]' });
  t.notOk(own.calls['cublasLt'], 'own kernels did it');
  t.end();
});

for (const causal of [false, true])
  t.test(`attention in bf16 and its gradient are two graphs, as our own kernels; causal: ${causal}`, { skip }, (t) => {
    const script = `import { tensor, scaledDotProductAttention, sum } from '${join(root, 'dist/lib/index.js')}';
    const of = (shape, from) => tensor(Array.from({ length: shape.reduce((x, y) => x * y) }, (_, i) => Math.sin(from * i)),
      { shape, dtype: 'bf16', device: 'cuda', requiresGrad: true });
    const [q, k, v] = [of([2, 3, 20, 32], 1), of([2, 3, 24, 32], 2), of([2, 3, 24, 32], 3)];
    const y = scaledDotProductAttention(q, k, v, { causal: ${causal} });
    sum(y.mul(y)).backward();
    console.log(JSON.stringify([y, q.grad, k.grad, v.grad].map((x) => [...x.data()])));`;
    const node = ['--input-type=module', '-e', script];
    const [asked, own] = [run(process.execPath, node), run(process.execPath, node, { SECATEUR_LIBCUDNN: 'none' })];
    t.match(asked, { status: 0, calls: { cudnn: 2 } }, asked.out);
    t.equal(own.status, 0, own.out);
    const [a, b] = [asked, own].map(({ out }) => JSON.parse(out.trim().split('\n').at(-1) ?? '[]') as number[][]);
    for (const [i, name] of ['y', 'dq', 'dk', 'dv'].entries()) {
      const [x = [], z = []] = [a?.[i], b?.[i]];
      const scale = Math.max(...z.map(Math.abs));
      const worst = Math.max(...z.map((w, j) => Math.abs(w - (x[j] ?? NaN)))) / scale;
      t.ok(z.length > 0 && worst < 2e-2, `${name}: difference ${worst.toExponential(1)}`);
    }
    t.end();
  });

t.test('a captured step replays what the libraries do', { skip }, (t) => {
  const script = `import { tensor, matmul, conv2d, copy_ } from '${join(root, 'dist/lib/index.js')}';
    import { native } from '${join(root, 'dist/lib/core/native.js')}';
    const of = (shape, from) => tensor(Array.from({ length: shape.reduce((x, y) => x * y) }, (_, i) => (i * from) % 7 - 3),
      { shape, device: 'cuda' });
    const a = of([4, 8], 3), b = of([8, 8], 5), x = of([1, 4, 4, 8], 2), w = of([8, 3, 3, 8], 4);
    const step = () => [matmul(a, b), conv2d(x, w, undefined, { padding: 1 })];
    const values = (made) => made.map((y) => [...y.data()].join());
    step().forEach((y) => y.data());
    const graph = native.captureBegin();
    const made = step();
    native.captureEnd();
    native.replay(graph, 0);
    const first = values(made);
    copy_(a, of([4, 8], 6));
    copy_(x, of([1, 4, 4, 8], 3));
    native.replay(graph, 0);
    console.log(JSON.stringify([first, values(made), values(step())]));`;
  const { status, out, calls } = run(process.execPath, ['--input-type=module', '-e', script]);
  t.equal(status, 0, out);
  const [first, second, eager] = JSON.parse(out.trim().split('\n').at(-1) ?? '[]') as string[][];
  t.strictSame(second, eager, 'a replay computes with the values of now');
  t.notSame(first, second, 'which are others than before');
  t.match(calls, { cublasLt: 3, cudnn: 3 }, 'the capture and two eager steps asked; the replays did not');
  t.end();
});

t.test('training a narrow ResNet-20 with the libraries gives the losses of the CPU', { skip }, (t) => {
  const script = `import { tensor, crossEntropy, manualSeed, scope } from '${join(root, 'dist/lib/index.js')}';
    import { SGD } from '${join(root, 'dist/lib/optim/index.js')}';
    import { resnet20 } from '${join(root, 'dist/src/models/index.js')}';
    const losses = (device) => {
      manualSeed(1);
      const model = resnet20({ baseWidth: 4, inChannels: 1 });
      model.to(device);
      const optimizer = new SGD(model.parameters(), { lr: 0.05, momentum: 0.9 });
      const pixels = Array.from({ length: 8 * 256 }, (_, i) => Math.sin(i * i));
      const images = tensor(pixels, { shape: [8, 16, 16, 1], device });
      const labels = tensor([0, 1, 2, 3, 4, 5, 6, 7], { dtype: 'i32', device });
      return Array.from({ length: 4 }, () => scope(() => {
        const loss = crossEntropy(model.forward(images), labels);
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
        return loss.item();
      }));
    };
    console.log(JSON.stringify([losses('cpu'), losses('cuda')]));`;
  const { status, out, calls } = run(process.execPath, ['--input-type=module', '-e', script]);
  t.equal(status, 0, out);
  const [cpu = [], gpu = []] = JSON.parse(out.trim().split('\n').at(-1) ?? '[]') as number[][];
  t.equal(gpu.length, 4, 'four steps');
  for (const [i, loss] of gpu.entries())
    t.ok(Math.abs(loss - (cpu[i] as number)) < 1e-5, `step ${i + 1}: ${loss}, on the CPU ${cpu[i]}`);
  t.ok((gpu[3] as number) < (gpu[0] as number), 'it learns');
  // Each step: 19 convolutions and one layer, three passes each; no gradient of the images, whose one channel makes the
  // first convolution depthwise, which is left to own kernels.
  t.match(calls, { cudnn: 4 * (3 * 19 - 1 - 2), cublasLt: 4 * 3 }, 'all of it through the libraries');
  t.end();
});
