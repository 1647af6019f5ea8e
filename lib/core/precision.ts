import { SecateurError } from './errors.js';

/**
 * How exactly f32 convolutions are computed. `high`: Winograd's algorithm where it pays, which needs a quarter of the
 * multiplications and rounds a little more (about 1e-6 of the largest result instead of 1e-7). `highest`: always the
 * direct sum. With `high`, a NaN or an infinity makes the 4x4 results around it NaN, not only the 3x3.
 */
export type Precision = 'high' | 'highest';

let current: Precision = 'high';

/** How exactly f32 convolutions are computed now. */
export function precision(): Precision {
  return current;
}

/**
 * Chooses how exactly f32 convolutions are computed from here on (default `high`); a gradient uses what its forward used.
 *
 * @throws ERR_OPTION for any other word
 */
export function setPrecision(value: Precision): void {
  if (value !== 'high' && value !== 'highest') {
    throw new SecateurError(
      'ERR_OPTION',
      `setPrecision: '${String(value)}' is not a precision; use 'high' or 'highest'.`,
      {
        value,
      },
    );
  }
  current = value;
}
