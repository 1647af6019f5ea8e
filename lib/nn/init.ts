// PyTorch's default initialisations, drawn from the one generator: `manualSeed` fixes them. A model for the GPU is drawn
// on the CPU, so that it starts from the same bits.
import { toDevice } from '../core/create.js';
import { type Device, defaultDevice } from '../core/device.js';
import { SecateurError } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import { type Shape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { rand, randn } from '../ops/creation.js';

export interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

/** Inputs and outputs of one unit of a weight `[out, in]` or `[out, kh, kw, in]`. */
export function fans(shape: Shape): Fans {
  if (shape.length < 2)
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `init: a weight of rank ${shape.length} has no fan; needs at least two axes.`,
    );
  const window = sizeOf(shape.slice(1, -1));
  return { fanIn: (shape[shape.length - 1] as number) * window, fanOut: (shape[0] as number) * window };
}

/** Runs `draw` on the CPU where the default device is a GPU, and moves what it gives there. */
function drawn(draw: (device: Device) => Tensor): Tensor {
  const device = defaultDevice();
  return scope(() => toDevice(draw(device === 'cuda' ? 'cpu' : device), device));
}

/** Uniform on [-bound, bound). */
export function uniform(shape: Shape, bound: number): Tensor {
  return drawn((device) =>
    rand(shape, { device })
      .mul(2 * bound)
      .sub(bound),
  );
}

/** Normal with mean 0. */
export function normal(shape: Shape, std: number): Tensor {
  return drawn((device) => randn(shape, { device }).mul(std));
}

/** He et al. 2015, uniform with negative slope sqrt(5): bound `1 / sqrt(fanIn)`. The default of Linear and Conv2d. */
export function kaimingUniform(shape: Shape): Tensor {
  return uniform(shape, 1 / Math.sqrt(fans(shape).fanIn));
}

/** He et al. 2015, normal for relu: standard deviation `sqrt(2 / fan)`. */
export function kaimingNormal(shape: Shape, mode: 'fanIn' | 'fanOut' = 'fanIn'): Tensor {
  return normal(shape, Math.sqrt(2 / fans(shape)[mode]));
}

/** Glorot and Bengio 2010, uniform: bound `sqrt(6 / (fanIn + fanOut))`. */
export function xavierUniform(shape: Shape): Tensor {
  const { fanIn, fanOut } = fans(shape);
  return uniform(shape, Math.sqrt(6 / (fanIn + fanOut)));
}
