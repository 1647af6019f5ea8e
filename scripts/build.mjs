// Builds the native part with CMake, through cmake-js. Nothing is downloaded: Node's C API headers come from the npm
// package node-api-headers. `--sanitize` builds the ASan + UBSan variant into build-sanitize/; `--gpusim` builds the
// simulated GPU of the tests, and stand-ins for libraries on it, into build-gpusim/.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sanitize = process.argv.includes('--sanitize');
const has = (program, ...args) => spawnSync(program, args, { stdio: 'ignore' }).status === 0;

function stop(sentence) {
  console.error(`secateur: ${sentence}`);
  process.exit(1);
}

if (process.platform !== 'linux' || process.arch !== 'x64')
  stop(`the native part builds on x64 Linux; this is ${process.arch} ${process.platform}.`);
if (!has('cmake', '--version')) stop('CMake is missing. Install it with: apt-get install cmake');
if (!has('g++', '--version')) stop('a C++17 compiler is missing. Install it with: apt-get install g++');
if (!existsSync('/usr/include/dnnl.h') && !process.env.CMAKE_PREFIX_PATH)
  stop('oneDNN is missing. Install it with: apt-get install libdnnl-dev');
const ninja = has('ninja', '--version');
if (!ninja && !has('make', '--version'))
  stop('neither Ninja nor make is there. Install one with: apt-get install ninja-build');

const ccache = has('ccache', '--version') ? ['-DCMAKE_CXX_COMPILER_LAUNCHER=ccache'] : [];
if (process.argv.includes('--gpusim')) {
  const out = join(root, 'build-gpusim');
  const make = (...args) => execFileSync('cmake', args, { cwd: root, stdio: ['ignore', 2, 2] });
  try {
    make('-S', 'test/native/gpusim', '-B', out, ...(ninja ? ['-G', 'Ninja'] : []), ...ccache);
    make('--build', out, '--parallel', String(availableParallelism()));
  } catch {
    stop('the simulated GPU did not build; the compiler’s message is above.');
  }
  process.exit(0);
}

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const out = sanitize ? 'build-sanitize' : 'build';
const args = [cmakeJs, 'compile', '--out', out, '--config', 'Release', '--parallel', String(availableParallelism())];
if (ninja) args.push('--generator', 'Ninja');
for (const option of ccache) args.push(`--C${option.slice(1)}`);
if (sanitize) args.push('--CDSECATEUR_SANITIZE=ON');
// For work on kernels one architecture compiles in a fifth of the time.
const architectures = process.env.SECATEUR_CUDA_ARCHITECTURES;
if (architectures) args.push(`--CDSECATEUR_CUDA_ARCHITECTURES=${architectures}`);
try {
  execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
} catch {
  stop('the native build failed; the compiler’s message is above.');
}
