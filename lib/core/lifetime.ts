import { SecateurError } from './errors.js';
import { enter, ownAlone, swapOwner, Tensor } from './tensor.js';

const kept = new WeakSet<Tensor>();

/** Takes a tensor out of every scope: it lives until it is disposed (or, at last, collected). */
export function keep<T extends Tensor>(t: T): T {
  t.alive('keep');
  kept.add(t);
  return t;
}

function collect(value: unknown, into: Set<unknown>): void {
  if (value instanceof Tensor) into.add(value);
  else if (Array.isArray(value)) for (const v of value) collect(v, into);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const v of Object.values(value)) collect(v, into);
  }
}

export function refusePromise(where: string, value: unknown): void {
  if (value !== null && typeof value === 'object' && typeof (value as { then?: unknown }).then === 'function') {
    throw new SecateurError(
      'ERR_SCOPE',
      `${where}: the function returned a promise. Await outside and keep ${where} synchronous.`,
    );
  }
}

/**
 * Runs `fn` and disposes every tensor made inside it, except those it returns (found in arrays and plain objects) and
 * those passed to `keep`. What the tape saved lives until `backward` has passed it. `fn` must be synchronous.
 *
 * @throws ERR_SCOPE when `fn` returns a promise.
 */
export function scope<T>(fn: () => T): T {
  const made: Tensor[] = [];
  const outer = swapOwner(made);
  const returned = new Set<unknown>();
  let done = false;
  try {
    const value = fn();
    refusePromise('scope', value);
    collect(value, returned);
    done = true;
    return value;
  } finally {
    swapOwner(outer);
    for (const t of made) {
      if (t.disposed) continue;
      if (done && returned.has(t)) enter(t);
      else if (kept.has(t)) ownAlone(t);
      else t.dispose();
    }
  }
}
