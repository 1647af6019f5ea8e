import { SecateurError } from './errors.js';
import { guarded, native } from './native.js';

/**
 * Where a tensor lives. `cpu` is always there. `ref` computes every op by its float64 definition: slow, exact,
 * for checking. `cuda` is the one GPU of the process.
 */
export type Device = 'cpu' | 'cuda' | 'ref';

const devices: readonly Device[] = ['cpu', 'cuda', 'ref'];
let current: Device = 'cpu';
let cudaIsOpen = false;

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
  if (device === 'cuda' && !cudaIsOpen) {
    guarded(() => {
      native.cudaOpen();
    });
    cudaIsOpen = true;
  }
}

/** The number by which the addon knows a device that holds native memory. */
export function deviceCode(device: Device): number {
  return device === 'cuda' ? 1 : 0;
}

/**
 * A device by name, checked to be there; `auto` is the GPU where one can be used and the CPU elsewhere.
 *
 * @throws ERR_DEVICE for another name, ERR_CUDA_UNAVAILABLE with the reason when `cuda` cannot be used
 */
export function device(name: Device | 'auto'): Device {
  if (name !== 'auto') {
    checkDevice('device', name);
    return name;
  }
  try {
    checkDevice('device', 'cuda');
    return 'cuda';
  } catch (error) {
    if (error instanceof SecateurError && error.code === 'ERR_CUDA_UNAVAILABLE') return 'cpu';
    throw error;
  }
}

/** A device in words: `cuda:0` and the GPU's name, or `cpu` and the instruction set and threads of its kernels. */
export function describeDevice(name: Device): string {
  checkDevice('describeDevice', name);
  if (name === 'ref') return 'ref';
  if (name === 'cuda') return `cuda:0 ${(JSON.parse(native.cudaDescribe()) as { name: string }).name}`;
  const { isa, threads } = native.info();
  return `cpu (${isa}, ${threads} threads)`;
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
