// What the build makes of the nvcc that it finds: configured with CMake, in a folder of its own; nothing is compiled.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../lib/core/native.js';

const folder = mkdtempSync(join(tmpdir(), 'secateur-build-'));
t.teardown(() => {
  rmSync(folder, { recursive: true });
});

const nvcc = join(folder, 'cuda/bin/nvcc');
const build = join(folder, 'build');
mkdirSync(join(folder, 'cuda/bin'), { recursive: true });
const env = { ...process.env, CUDA_HOME: join(folder, 'cuda') };
const program = join(packageRoot(), 'dist/bundle/src/cli/main.js');

const says = (version: string): string => `echo "Cuda compilation tools, release ${version}, V${version}.99"`;
for (const [name, body, configured, found] of [
  ['of CUDA 12', says('12.4'), /No CUDA backend: .*nvcc is of CUDA 12; 13 is needed/, /nvcc 12\.4, too old/],
  ['that does not run', 'exit 127', /No CUDA backend: .*nvcc does not run/, /no nvcc here/],
  // The same build folder: what is mended there is seen.
  ['of CUDA 13', says('13.1'), undefined, /nvcc 13\.1\)/],
] as const) {
  t.test(`an nvcc ${name}`, (t) => {
    writeFileSync(nvcc, `#!/bin/sh\n${body}\n`);
    chmodSync(nvcc, 0o755);
    const made = spawnSync('cmake', ['-S', packageRoot(), '-B', build], { env, encoding: 'utf8' });
    t.equal(made.status, 0, made.stderr);
    if (configured === undefined) t.notMatch(made.stdout, /No CUDA backend/);
    else t.match(made.stdout, configured);
    t.match(spawnSync(process.execPath, [program, 'doctor'], { env, encoding: 'utf8' }).stdout, found);
    t.end();
  });
}
