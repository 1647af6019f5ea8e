// What `secateur doctor` says about the GPU: the driver, the device, the backend, the vendor's libraries.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../lib/core/native.js';

/** One thing looked at: whether it is there, what was found, and the command that mends it. */
export interface Finding {
  readonly name: string;
  /** Undefined: not there, and not needed. */
  readonly ok: boolean | undefined;
  readonly found: string;
  readonly mend?: string;
  /** Where a library was looked for. */
  readonly tried?: readonly string[];
}

interface Library {
  readonly name: string;
  readonly available: boolean;
  readonly version?: string;
  readonly path?: string;
  readonly reason?: string;
  readonly tried: readonly string[];
}

/** What probeGpu.ts prints. */
interface Probe {
  readonly available: boolean;
  readonly reason?: string;
  readonly name?: string;
  readonly capability?: number;
  readonly multiprocessors?: number;
  readonly memoryBytes?: number;
  readonly driverCuda?: number;
  readonly libraries?: readonly Library[];
}

/** The package that brings a library, and what is done without it. */
const packages: Readonly<Record<string, readonly [string, string]>> = {
  cublas: ['nvidia-cublas', 'own matrix products are used'],
  cudnn: ['nvidia-cudnn-cu13', 'own convolutions and norms are used'],
  nccl: ['nvidia-nccl-cu13', 'one GPU is used'],
};

function probe(): Probe {
  const program = join(dirname(fileURLToPath(import.meta.url)), 'probeGpu.js');
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  try {
    return JSON.parse(stdout) as Probe;
  } catch {
    const how = signal === null ? `ended with status ${String(status)}` : `was ended by ${signal}`;
    const said = stderr.trim().split('\n').at(-1) ?? '';
    return {
      available: false,
      reason: `the program that looked at the GPU ${how}: the NVIDIA driver or its libraries are broken${said === '' ? '' : ` (${said})`}.`,
    };
  }
}

function kernelDriver(): Finding {
  const file = '/proc/driver/nvidia/version';
  if (!existsSync(file)) return { name: 'NVIDIA driver', ok: undefined, found: 'the kernel has none loaded' };
  const version = / (\d+\.\d+(?:\.\d+)?) /.exec(readFileSync(file, 'utf8'))?.[1];
  return { name: 'NVIDIA driver', ok: true, found: version ?? 'loaded' };
}

function nvcc(): string | undefined {
  const places = [process.env['CUDA_HOME'], process.env['CUDA_PATH'], '/usr/local/cuda'];
  const own = places.map((p) => (p === undefined ? undefined : join(p, 'bin', 'nvcc'))).find((p) => p && existsSync(p));
  const run = spawnSync(own ?? 'nvcc', ['--version'], { encoding: 'utf8' });
  return run.status === 0 ? /release ([\d.]+)/.exec(run.stdout)?.[1] : undefined;
}

function backend(): Finding {
  const built = existsSync(join(packageRoot(), 'build', 'Release', 'libsecateur_cuda.so'));
  const compiler = nvcc();
  const old = compiler !== undefined && Number.parseInt(compiler, 10) < 13;
  const with_ = compiler === undefined ? 'no nvcc here' : `nvcc ${compiler}${old ? ', too old' : ''}`;
  if (built) return { name: 'CUDA backend', ok: true, found: `built (${with_})` };
  return {
    name: 'CUDA backend',
    ok: undefined,
    found: `not built (${with_}): the CPU is used`,
    mend: `${compiler === undefined || old ? 'install the CUDA toolkit 13, then: ' : ''}npm rebuild secateur (in a checkout: npm run build)`,
  };
}

function mendFor(reason: string): string | undefined {
  if (/no NVIDIA driver|too old|Update the driver|does not start|broken/.test(reason))
    return 'install the NVIDIA driver, 580 or later (on Debian: apt-get install nvidia-driver), then look with: nvidia-smi';
  if (/CUDA_VISIBLE_DEVICES/.test(reason)) return 'look with: nvidia-smi -L; and unset CUDA_VISIBLE_DEVICES';
  return undefined;
}

function gpu(p: Probe): Finding {
  if (p.available) {
    const { name, capability = 0, multiprocessors, memoryBytes = 0, driverCuda = 0 } = p;
    const cuda = `${Math.floor(driverCuda / 1000)}.${Math.floor((driverCuda % 1000) / 10)}`;
    return {
      name: 'GPU',
      ok: true,
      found: `${name}, compute capability ${Math.floor(capability / 10)}.${capability % 10}, ${multiprocessors} multiprocessors, ${(memoryBytes / 2 ** 30).toFixed(1)} GiB, driver for CUDA ${cuda}`,
    };
  }
  const reason = p.reason ?? 'no reason given';
  const mend = mendFor(reason);
  return { name: 'GPU', ok: undefined, found: `not used: ${reason}`, ...(mend === undefined ? {} : { mend }) };
}

function library({ name, available, version, path, reason, tried }: Library): Finding {
  if (available) return { name, ok: true, found: [version, path].filter((x) => x !== undefined).join(', ') };
  const [wheel, instead] = Object.entries(packages).find(([key]) => name.toLowerCase().includes(key))?.[1] ?? [];
  return {
    name,
    ok: undefined,
    found: `${reason ?? 'not found'}${instead === undefined ? '' : `; ${instead}`}`,
    ...(wheel === undefined ? {} : { mend: `pip install ${wheel}` }),
    tried,
  };
}

/** Everything about the GPU. Nothing of it is needed: without one the CPU computes. */
export function gpuFindings(): Finding[] {
  const own = backend();
  if (own.ok !== true) return [kernelDriver(), own];
  const found = probe();
  return [kernelDriver(), own, gpu(found), ...(found.libraries ?? []).map(library)];
}
