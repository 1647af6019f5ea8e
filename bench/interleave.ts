// Calls that are compared take turns: the machine's speed drifts, and drifts for all of them.
import { noGrad } from '../lib/autograd/tape.js';
import { scope } from '../lib/core/lifetime.js';
import { synchronize } from '../lib/core/memory.js';
import { median } from './row.js';

/** Milliseconds of a call, the device's work included. */
export function time(call: () => void): number {
  const start = performance.now();
  scope(() => noGrad(call));
  synchronize();
  return performance.now() - start;
}

/** Medians of calls that take turns, after two rounds that do not count. */
export function interleave(rounds: number, calls: readonly (() => void)[]): number[] {
  const times: number[][] = calls.map(() => []);
  for (let r = -2; r < rounds; r++) {
    calls.forEach((call, i) => {
      const ms = time(call);
      if (r >= 0) (times[i] as number[]).push(ms);
    });
  }
  return times.map(median);
}
