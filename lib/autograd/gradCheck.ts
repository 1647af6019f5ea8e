import { tensor } from '../core/create.js';
import { SecateurError } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import type { Tensor } from '../core/tensor.js';
import { backward, noGrad } from './tape.js';

export interface GradCheckOptions {
  /** Step of the central difference (default 1e-5). */
  step?: number;
  /** Largest difference allowed, relative to the largest gradient entry or 1 (default 1e-6). */
  tolerance?: number;
}

/**
 * Compares the gradient of a function with central differences `(f(x + h) - f(x - h)) / 2h`, in double precision on
 * the `ref` device. `f` maps the tensors to a one-element tensor. Gives the largest difference.
 *
 * @throws ERR_GRADIENT naming input and entry where they disagree
 */
export function gradCheck(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  options: GradCheckOptions = {},
): number {
  const h = options.step ?? 1e-5;
  const tolerance = options.tolerance ?? 1e-6;
  const values = inputs.map((t) => t.doubles());
  const place = (requiresGrad: boolean): Tensor[] =>
    inputs.map((t, i) =>
      tensor(values[i] as Float64Array, { dtype: t.dtype, shape: t.shape, device: 'ref', requiresGrad }),
    );
  const gradients = scope(() => {
    const at = place(true);
    backward(f(...at));
    return at.map((t) => {
      const g = t.grad?.doubles() ?? new Float64Array(t.size);
      t.grad?.dispose();
      return g;
    });
  });
  const value = (): number => scope(() => noGrad(() => f(...place(false)).item()));
  let worst = 0;
  gradients.forEach((g, n) => {
    const x = values[n] as Float64Array;
    const scale = g.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
    for (let i = 0; i < x.length; i++) {
      const before = x[i] as number;
      x[i] = before + h;
      const up = value();
      x[i] = before - h;
      const down = value();
      x[i] = before;
      const numeric = (up - down) / (2 * h);
      const d = Math.abs(numeric - (g[i] as number)) / scale;
      if (!(d <= tolerance)) {
        throw new SecateurError(
          'ERR_GRADIENT',
          `gradCheck: input ${n}, entry ${i}: the tape says ${g[i]}, differences say ${numeric}.`,
          { input: n, entry: i, analytic: g[i], numeric },
        );
      }
      worst = Math.max(worst, d);
    }
  });
  return worst;
}
