// Our declarations of CUDA's driver, cuDNN, cuBLASLt and NCCL against the vendors' headers: compiled, not linked.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../../lib/core/native.js';
import { cudaHeaders, filesOfWheel, type wheels } from './wheels.js';

const root = packageRoot();
const toolkit = cudaHeaders();
const headers: Readonly<Record<string, { readonly wheel?: keyof typeof wheels; readonly below: string }>> = {
  driver: { below: '' },
  cudnn: { wheel: 'cudnn', below: 'nvidia/cudnn/include' },
  cublasLt: { wheel: 'cublas', below: 'nvidia/cu13/include' },
  nccl: { wheel: 'nccl', below: 'nvidia/nccl/include' },
};

function compile(library: string, include: readonly string[], first: readonly string[] = []): string {
  const ours = [...first, join(root, 'native/cuda'), join(root, 'native/src')];
  const args = [
    ...['-std=c++17', '-fsyntax-only', '-Wall', '-Wextra', '-Werror'],
    ...ours.flatMap((folder) => ['-I', folder]),
    ...include.flatMap((folder) => ['-isystem', folder]),
    join(root, `test/native/vendor/${library}.cpp`),
  ];
  const run = spawnSync('g++', args, { encoding: 'utf8' });
  return run.status === 0 ? '' : `${run.stderr}${run.error?.message ?? ''}`;
}

for (const [library, { wheel, below }] of Object.entries(headers)) {
  const files = wheel === undefined ? toolkit : filesOfWheel(wheel, `^${below}/`);
  const reason = 'reason' in toolkit ? toolkit.reason : 'reason' in files ? files.reason : undefined;
  t.test(`${library}: declared as the vendor declares it`, { skip: reason ?? false }, (t) => {
    if ('reason' in toolkit || 'reason' in files) return t.end();
    const include = [join(files.folder, below), toolkit.folder];
    t.equal(compile(library, include), '', 'signatures, values and sizes agree');

    // A declaration that is off must be found, or the check checks nothing.
    const text = readFileSync(join(root, `native/cuda/api/${library}.h`), 'utf8');
    const wrong = mkdtempSync(join(tmpdir(), 'secateur-wrong-'));
    mkdirSync(join(wrong, 'api'));
    const signature = /\bint (ordinal|ranks|wanted)\b|\bstd::int64_t count\b/;
    t.match(text, signature, 'there is a parameter to change');
    writeFileSync(join(wrong, `api/${library}.h`), text.replace(signature, 'double it'));
    t.match(compile(library, include, [wrong]), /is declared as/, 'a parameter of another type is found');
    rmSync(wrong, { recursive: true });
    t.end();
  });
}
