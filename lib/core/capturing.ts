import type { Device } from './device.js';
import { SecateurError } from './errors.js';

let active = false;

/** Whether a step is being captured or replayed (see capture.ts). */
export function isCapturing(): boolean {
  return active;
}

export function setCapturing(on: boolean): void {
  active = on;
}

/** Refuses, inside a captured step, what would need values of the GPU or a copy from the host. */
export function refuseCapture(what: string, device: Device): void {
  if (!active || device !== 'cuda') return;
  throw new SecateurError(
    'ERR_CAPTURE',
    `${what}: cannot be part of a captured step: nothing has been computed while it is recorded, and a copy from the host would be the same at every replay. Do it before the step or after it.`,
    { op: what },
  );
}
