// How long a call keeps the GPU busy.
import { SecateurError } from '../lib/core/errors.js';
import { scope, synchronize } from '../lib/index.js';
import { median } from './row.js';

const enough = 10; // milliseconds of work between two looks at the clock
const most = 50;

/**
 * Microseconds of one call, the median of `rounds`. Calls are queued back to back, as many as fill ten milliseconds, so
 * that the time between them is the device's and not that of queueing: work of 100 microseconds and more is what this
 * can measure.
 *
 * @throws ERR_CUDA when the clock says that no time went by
 */
export function timeCall(call: () => void, rounds: number): number {
  const run = (calls: number): number => {
    synchronize('cuda');
    const start = performance.now();
    for (let i = 0; i < calls; i++) scope(call);
    synchronize('cuda');
    return (performance.now() - start) / calls;
  };
  run(1);
  const batch = Math.min(most, Math.max(1, Math.ceil(enough / run(1))));
  const microseconds = 1000 * median(Array.from({ length: rounds }, () => run(batch)));
  if (!(microseconds > 0))
    throw new SecateurError('ERR_CUDA', `bench: a call took ${microseconds} microseconds by the clock.`);
  return microseconds;
}
