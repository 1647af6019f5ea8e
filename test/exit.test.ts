// A process may end at any time, with kernels queued and running: it ends with its own status.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { packageRoot } from '../lib/core/native.js';
import { inProcess, noGpu } from './cuda/gpu.js';

const queued = `
  import { conv2d, matmul, randn } from '${join(packageRoot(), 'dist/lib/index.js')}';
  const a = randn([1000, 1000]), x = randn([16, 28, 28, 32]), w = randn([32, 3, 3, 32]);
  let y = a;
  for (let i = 0; i < 20; i++) { y = matmul(y, a); conv2d(x, w, undefined, { padding: 1 }); }
`;
const endings: readonly [string, string, number][] = [
  ['an uncaught error', "throw new Error('on purpose');", 1],
  ['process.exit', 'process.exit(3);', 3],
  ['nothing more to do', '', 0],
  [
    'a handler that computes once more',
    "process.on('exit', () => { if (y.size === matmul(y, a).data().length) process.exitCode = 5; });",
    5,
  ],
];
for (const [name, ending, status] of endings) {
  t.test(name, (t) => {
    for (let i = 0; i < 4; i++) {
      const run = spawnSync(process.execPath, ['--input-type=module', '-e', `${queued}\n${ending}`], {
        encoding: 'utf8',
      });
      t.strictSame([run.status, run.signal], [status, null], `run ${i + 1}: ${run.stderr.slice(-200)}`);
    }
    t.end();
  });
}

const handlers: readonly [string, string, string][] = [
  [
    'queues work of the GPU',
    "const x = rand([1 << 16], { device: 'cuda' });",
    'for (let i = 0; i < 20; i++) x.add(1);',
  ],
  ['opens the GPU', '', "const x = rand([1 << 16], { device: 'cuda' }); for (let i = 0; i < 20; i++) x.add(1);"],
  ['asks for values of the GPU', "const x = rand([1 << 16], { device: 'cuda' });", 'void x.add(1).dataAsync();'],
];
for (const [name, before, late] of handlers) {
  t.test(`a handler that ${name}`, { skip: noGpu }, (t) => {
    const text = `
      import { rand, tensor } from 'lib/index.js';
      tensor([1]).add(1).item();
      ${before}
      process.on('exit', () => {
        ${late}
        process.exitCode = 5;
      });`;
    for (let i = 0; i < 3; i++) {
      const { status, signal, err } = inProcess(text);
      t.strictSame([status, signal], [5, null], `run ${i + 1}: ${err.slice(-200)}`);
    }
    t.end();
  });
}
