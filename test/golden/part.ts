import type { Comparison } from './comparison.js';

/** A check of one or more groups of a file: computes them and hands the results to the comparison. */
export interface Part {
  readonly groups: readonly string[];
  readonly run: (c: Comparison) => void | Promise<void>;
}

/** A part for one group. */
export function part(group: string, run: Part['run']): Part {
  return { groups: [group], run };
}
