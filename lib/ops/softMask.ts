import { SecateurError } from '../core/errors.js';

/** The soft mask `sigmoid((w^2 - t^2) / tau)`. The threshold is kept finite: an infinite weight stays above it. */
export function softMaskAt(w: number, t: number, tau: number): number {
  const cut = Math.min(t, Number.MAX_VALUE);
  return 1 / (1 + Math.exp(-((Math.abs(w) - cut) * (Math.abs(w) + cut)) / tau));
}

/** `m (1 - m)` times `factor`: 0 where the mask is saturated, even for an infinite factor. */
export function boundary(m: number, factor: number): number {
  const slope = m * (1 - m);
  return slope === 0 ? 0 : slope * factor;
}

/** Refuses a temperature that is not a positive number. */
export function checkTau(op: string, tau: number): void {
  if (!(tau > 0) || !Number.isFinite(tau))
    throw new SecateurError('ERR_ARGUMENT', `${op}: tau is ${tau}; needs a finite number above 0.`, { tau });
}
