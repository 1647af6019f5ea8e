// What importing the package costs, each time in a process of its own; beside it the same modules in separate files.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../lib/core/native.js';
import { type Row, median } from './row.js';

/** What a program may be asked to wait for before it does anything, in milliseconds. */
const limit = 60;

export function benchImport(rounds: number): Row {
  const time = (index: string): number => {
    const path = join(packageRoot(), index);
    const text = `const start = performance.now(); await import('${path}'); console.log(performance.now() - start);`;
    return Number(spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' }).stdout);
  };
  // They take turns.
  const times = Array.from(
    { length: rounds },
    () => [time('dist/bundle/lib/index.js'), time('dist/lib/index.js')] as const,
  );
  const ms = median(times.map(([joined]) => joined));
  const peerMs = median(times.map(([, apart]) => apart));
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
    peer: 'separate',
    peerMs,
    ratio: peerMs / ms,
    peakBytes: null,
    peerPeakBytes: null,
    reorders: null,
  };
}
