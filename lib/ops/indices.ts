import { SecateurError } from '../core/errors.js';
import type { RefArray } from '../core/op.js';

/** Refuses indices outside an extent, where a reference is about to use them. */
export function checkIndices(op: string, index: RefArray, extent: number): void {
  const at = index.data.findIndex((i) => i < 0 || i >= extent);
  if (at >= 0) {
    throw new SecateurError(
      'ERR_KERNEL',
      `${op}: index ${index.data[at]} at position ${at} is outside the extent ${extent}; needs 0 to ${extent - 1}.`,
      { op, index: index.data[at], position: at },
    );
  }
}
