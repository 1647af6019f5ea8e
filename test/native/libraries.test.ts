// Vendors' libraries are optional: each that is missing, unfit or unwanted leaves a reason, and nothing breaks.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';

interface Found {
  readonly name: string;
  readonly available: boolean;
  readonly version?: string;
  readonly path?: string;
  readonly reason?: string;
  readonly tried: readonly string[];
}

const backend = existsSync(join(packageRoot(), 'build/Release/libsecateur_cuda.so'));
const folder = mkdtempSync(join(tmpdir(), 'secateur-libraries-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});

/** What the backend says of the libraries, in a process of its own with this environment. */
function describe(environment: Readonly<Record<string, string>>): readonly Found[] {
  const script = `import { native } from '${join(packageRoot(), 'dist/lib/core/native.js')}';
    process.stdout.write(native.cudaDescribe());`;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SECATEUR_LIB')));
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...env, ...environment },
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return (JSON.parse(run.stdout) as { libraries: readonly Found[] }).libraries;
}

function library(name: string, text: string): string {
  const source = join(folder, `${name}.cpp`);
  const built = join(folder, `${name}.so`);
  writeFileSync(source, text);
  execFileSync('g++', ['-shared', '-fPIC', '-o', built, source]);
  return built;
}

const skip = backend ? false : 'the CUDA backend is not built: no nvcc';

t.test('nothing is looked for when nothing is wanted', { skip }, (t) => {
  for (const found of describe({ SECATEUR_CUDA_LIBRARIES: 'none' }))
    t.match(found, { available: false, reason: 'SECATEUR_CUDA_LIBRARIES=none', tried: [] }, found.name);
  t.end();
});

t.test('what is missing says where it was looked for and what installs it', { skip }, (t) => {
  // Nobody has NVIDIA's packages here: an empty environment stands for a bare machine.
  const home = { HOME: folder, PYTHONPATH: folder, CUDA_HOME: join(folder, 'cuda') };
  for (const found of describe(home).filter(({ available }) => !available)) {
    if (found.name === 'cuDNN' && /needs cuBLASLt/.test(found.reason ?? '')) continue;
    t.match(found.reason, /pip install nvidia-/, `${found.name}: the command that mends it`);
    for (const place of ['already loaded', `${folder}/nvidia/`, `${folder}/cuda/lib64/`, '/usr/lib/python3'])
      t.ok(
        found.tried.some((tried) => tried.includes(place)),
        `${found.name}: ${place} was tried`,
      );
  }
  t.end();
});

t.test('a file that is no library is a reason', { skip }, (t) => {
  const text = join(folder, 'text.so');
  writeFileSync(text, 'no library');
  const [blas, dnn, nccl] = describe({
    SECATEUR_LIBCUBLASLT: text,
    SECATEUR_LIBCUDNN: 'none',
    SECATEUR_LIBNCCL: join(folder, 'missing.so'),
  });
  t.match(blas, { name: 'cuBLASLt', available: false, reason: /SECATEUR_LIBCUBLASLT names a file.*text\.so/ });
  t.match(dnn, { name: 'cuDNN', available: false, reason: 'SECATEUR_LIBCUDNN=none' });
  t.match(nccl, { name: 'NCCL', available: false, reason: /missing\.so/ });
  t.end();
});

t.test('a library of another version is a reason', { skip }, (t) => {
  const version = (call: string, number: number): string =>
    library(`${call}${number}`, `extern "C" unsigned long ${call}() { return ${number}; }\n`);
  const nccl = library('nccl', 'extern "C" int ncclGetVersion(int* v) { *v = 2708; return 0; }\n');
  const [old, older, oldest] = describe({
    SECATEUR_LIBCUBLASLT: version('cublasLtGetVersion', 120805),
    SECATEUR_LIBCUDNN: version('cudnnGetVersion', 8907),
    SECATEUR_LIBNCCL: nccl,
  });
  t.match(old, { available: false, reason: /is version 12\.8\.5; needs 13/ });
  t.match(older, { available: false, reason: /is version 8\.9\.7; needs 9\.13 or later/ });
  t.match(oldest, { available: false, reason: /is version 2\.7\.8; needs 2\.27\.3 or later/ });
  t.end();
});

t.test('a library that lacks an entry point is a reason', { skip }, (t) => {
  const blas = library('bare', 'extern "C" unsigned long cublasLtGetVersion() { return 130101; }\n');
  const [found] = describe({ SECATEUR_LIBCUBLASLT: blas });
  t.match(found, { available: false, version: '13.1.1', reason: /bare\.so has no cublasLtGetStatusString/ });
  t.end();
});

t.test('another driver is not mixed with libraries that would open their own', { skip }, (t) => {
  for (const found of describe({ SECATEUR_LIBCUDA: join(folder, 'driver.so') }))
    t.match(found, { available: false, reason: /SECATEUR_LIBCUDA names another driver/ }, found.name);
  t.end();
});
