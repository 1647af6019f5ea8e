// What importing the package costs, each time in a process of its own.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../lib/core/native.js';
import { type Row, median } from './row.js';

/** What a program may be asked to wait for before it does anything, in milliseconds. */
const limit = 60;

export function benchImport(rounds: number): Row {
  const index = join(packageRoot(), 'dist/bundle/lib/index.js');
  const text = `const start = performance.now(); await import('${index}'); console.log(performance.now() - start);`;
  const times = Array.from({ length: rounds }, () =>
    Number(spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' }).stdout),
  );
  const ms = median(times);
  return {
    bench: 'import',
    name: 'import secateur',
    dtype: '-',
    mode: 'the native part is not loaded yet',
    batch: null,
    ms,
    unit: 'ms',
    value: ms,
    limit,
    share: ms / limit,
    peer: null,
    peerMs: null,
    ratio: null,
    peakBytes: null,
    peerPeakBytes: null,
    reorders: null,
  };
}
