// The public surface.
export { SecateurError, type ErrorCode } from './core/errors.js';
export type { DType, FloatDType, DataOf } from './core/dtype.js';
export { type Device, defaultDevice, setDefaultDevice } from './core/device.js';
export type { Shape } from './core/shape.js';
export { Tensor } from './tensor.js';
export { tensor, writeData, type TensorOptions, type HostData, type Nested } from './core/create.js';
export { scope, keep } from './core/lifetime.js';
export { manualSeed, randomState, setRandomState, type RandomState } from './core/random.js';
export { memory, synchronize, setNumThreads } from './core/memory.js';
export { precision, setPrecision, type Precision } from './core/precision.js';
export { defineOp } from './core/op.js';
export { run } from './core/run.js';
export * from './ops/index.js';
export { concat, concatOp, stack } from './ops/concat.js';
export { noGrad, isGradEnabled, backward, type BackwardOptions } from './autograd/tape.js';
export { customFunction, type CustomFunction } from './autograd/function.js';
export { gradCheck, type GradCheckOptions } from './autograd/gradCheck.js';
