// The real cuDNN, with no GPU: it makes a plan for every graph the backend emits for the models, on four architectures,
// for devices that are only described to it. A plan says that the graph is well formed and how much workspace it needs;
// it proves no number.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { graphs, impossible } from './plans/shapes.js';
import { cudaHeaders, filesOfWheel } from './wheels.js';

const root = packageRoot();
const built = join(root, 'build-vendor/plans');
const architectures = [80, 90, 100, 120];
// What the description of a device consists of is not documented: it is written for this version.
const version = '9.24.0';

const toolkit = cudaHeaders();
const dnn = filesOfWheel('cudnn', '^nvidia/cudnn/lib/');
const blas = filesOfWheel('cublas', '^nvidia/cu13/lib/libcublasLt');
const missing = [toolkit, dnn, blas].flatMap((found) => ('reason' in found ? [found.reason] : []));

/** A driver that finds no device but takes kernels: every entry point that cuda.h names. */
function stubDriver(headers: string): void {
  const text = readFileSync(join(headers, 'cuda.h'), 'utf8');
  const names = [...new Set(text.match(/\bcu[A-Z]\w+/g))].filter((name) => !/_(t|st)$/.test(name));
  const loads =
    /^cu(LibraryLoadData|LibraryGetKernel|LibraryGetModule|ModuleLoad\w+|ModuleGetFunction|KernelGetFunction)$/;
  const accepts = /^cu(Library|Module|Func\w*Attribute|Kernel\w*Attribute)/;
  const functions = names.map((name) =>
    loads.test(name)
      ? `extern "C" int ${name}(void** made) { static char it; *made = &it; return 0; }`
      : `extern "C" int ${name}() { return ${accepts.test(name) ? 0 : 100}; }`,
  );
  writeFileSync(join(built, 'stub.cpp'), functions.join('\n'));
  const soname = ['-Wl,-soname,libcuda.so.1', '-o', join(built, 'libcuda.so.1')];
  execFileSync('g++', ['-shared', '-fPIC', ...soname, join(built, 'stub.cpp')]);
}

function planner(): string {
  const sources = [
    'test/native/plans/main.cpp',
    ...['library', 'cudnn', 'cublasLt'].map((name) => `native/cuda/api/${name}.cpp`),
    ...['descriptor', 'graph', 'attentionGraph', 'batchNormGraph', 'plan'].map(
      (name) => `native/cuda/vendor/${name}.cpp`,
    ),
  ].map((file) => join(root, file));
  const program = join(built, 'plans');
  const include = ['-I', join(root, 'native/cuda'), '-I', join(root, 'native/src')];
  execFileSync('g++', ['-std=c++17', '-O1', ...include, '-o', program, ...sources, '-ldl']);
  return program;
}

interface Planned {
  readonly ok: boolean;
  readonly rest: string;
  readonly bytes: number;
  readonly milliseconds: number;
}

t.test('every graph has a plan', { skip: missing.length > 0 ? missing.join('; ') : false }, (t) => {
  if ('reason' in toolkit || 'reason' in dnn || 'reason' in blas) return t.end();
  mkdirSync(built, { recursive: true });
  stubDriver(toolkit.folder);
  const run = spawnSync(planner(), {
    input: [...graphs, impossible].map(({ name, key }) => `${name} ${key.join(' ')}`).join('\n'),
    encoding: 'utf8',
    env: {
      ...process.env,
      LD_LIBRARY_PATH: built,
      SECATEUR_LIBCUDNN: join(dnn.folder, 'nvidia/cudnn/lib/libcudnn.so.9'),
      SECATEUR_LIBCUBLASLT: join(blas.folder, 'nvidia/cu13/lib/libcublasLt.so.13'),
    },
  });
  t.equal(run.status, 0, `the planner runs to its end ${run.stderr}`);
  const [first = '', ...lines] = run.stdout.trim().split('\n');
  if (first !== `cuDNN ${version}`) {
    t.test('plans', { skip: `this is ${first}: devices are described for ${version}` }, (t) => {
      t.end();
    });
    return t.end();
  }

  const plans = new Map<string, Planned>();
  for (const line of lines) {
    const [architecture = '', name = '', verdict = '', ...rest] = line.split(' ');
    const [bytes, milliseconds] = [Number(rest[0]), Number(rest[1])];
    plans.set(`${architecture} ${name}`, { ok: verdict === 'ok', rest: rest.join(' '), bytes, milliseconds });
  }
  const found = (name: string): Planned[] =>
    architectures.map((a) => plans.get(`${a} ${name}`) ?? { ok: false, rest: 'no answer', bytes: 0, milliseconds: 0 });
  for (const { name, model } of graphs) {
    const faults = found(name).flatMap(({ ok, rest }, i) => (ok ? [] : [`sm_${architectures[i]}: ${rest}`]));
    t.strictSame(faults, [], `${model} ${name}`);
  }

  for (const { ok, rest } of found(impossible.name))
    t.notOk(ok, `a result of another size than the geometry gives is refused: ${rest}`);

  const kinds = [...new Set(graphs.map(({ model, pass, dtype }) => `${model}, ${pass}, ${dtype}`))];
  for (const kind of kinds) {
    const mine = graphs.filter(({ model, pass, dtype }) => `${model}, ${pass}, ${dtype}` === kind);
    const all = mine.flatMap(({ name }) => found(name));
    const largest = Math.max(...all.map(({ bytes }) => bytes)) / 2 ** 20;
    const slowest = Math.max(...all.map(({ milliseconds }) => milliseconds));
    t.comment(
      `${kind}: ${mine.length} graphs on sm_${architectures.join(', ')}; workspace up to ${largest.toFixed(1)} MiB, ` +
        `a plan in ${slowest} ms at most`,
    );
    // Attention's gradient may have three times the memory of its tensors: 192 MiB for GPT-2.
    const limit = kind.includes('attentionGrad') ? 3 * 192 : 256;
    t.ok(largest <= limit, `${kind}: ${largest.toFixed(1)} MiB of workspace, of ${limit}`);
  }
  t.end();
});
