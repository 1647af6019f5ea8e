import { SecateurError } from './errors.js';

/**
 * Where a tensor lives. `cpu` is always there. `ref` computes every op by its float64 definition: slow, exact,
 * for checking. `cuda` is the one GPU of the process.
 */
export type Device = 'cpu' | 'cuda' | 'ref';

const devices: readonly Device[] = ['cpu', 'cuda', 'ref'];
let current: Device = 'cpu';

export function checkDevice(where: string, device: unknown): asserts device is Device {
  if (!devices.includes(device as Device)) {
    throw new SecateurError(
      'ERR_DEVICE',
      `${where}: '${String(device)}' is not a device; use one of ${devices.join(', ')}.`,
      {
        device,
      },
    );
  }
  if (device === 'cuda') {
    throw new SecateurError('ERR_CUDA_UNAVAILABLE', `${where}: this build has no CUDA backend. Use device 'cpu'.`, {
      device,
    });
  }
}

/** The device that creation functions use when none is named. */
export function defaultDevice(): Device {
  return current;
}

/** Sets the device for tensors created without naming one, and gives back the one before. */
export function setDefaultDevice(device: Device): Device {
  checkDevice('setDefaultDevice', device);
  const before = current;
  current = device;
  return before;
}
