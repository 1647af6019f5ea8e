// The public surface.
export { SecateurError, type ErrorCode } from './core/errors.js';
export type { DType, FloatDType, DataOf } from './core/dtype.js';
export { type Device, defaultDevice, describeDevice, device, setDefaultDevice } from './core/device.js';
export type { Shape } from './core/shape.js';
export { Tensor } from './tensor.js';
export { tensor, writeData, type TensorOptions, type HostData, type Nested } from './core/create.js';
export { scope, keep } from './core/lifetime.js';
export { manualSeed, randomState, setRandomState, type RandomState } from './core/random.js';
export { capture, type Captured } from './core/capture.js';
export { memory, synchronize, setNumThreads } from './core/memory.js';
export { precision, setPrecision, type Precision } from './core/precision.js';
export { countOperations, type Cost } from './core/cost.js';
export { defineOp } from './core/op.js';
export { run } from './core/run.js';
export * from './ops/index.js';
export { concat, concatOp, stack } from './ops/concat.js';
export { threshold, thresholdRow, type Thresholds, type ThresholdRow } from './ops/threshold.js';
export { type Clip, type MaskedGrad, clipGrads_, gradNorm, pdpGradNorm } from './ops/gradNorm.js';
export {
  Choices24,
  chosenConv2d24,
  chosenLinear24,
  choices24,
  class24,
  type Choice24,
  type Chosen24,
  type Entry24,
  type Product24,
  type Table24,
  type Weight24,
} from './ops/choice24.js';
export { sgdStep_, type SgdStepOptions } from './ops/sgd.js';
export { adamStep_, type AdamStepOptions } from './ops/adam.js';
export { rmspropStep_, type RmspropStepOptions } from './ops/rmsprop.js';
export { pdpAdamStep_, pdpSgdStep_, type PdpStepOptions, type PdpStepTensors } from './ops/pdpStep.js';
export { zeros, ones, full, arange, rand, randn, oneHot, type ArangeOptions } from './ops/creation.js';
export { noGrad, isGradEnabled, backward, type BackwardOptions } from './autograd/tape.js';
export { autocast, isAutocast } from './autograd/autocast.js';
export { customFunction, type CustomFunction } from './autograd/function.js';
export { gradCheck, type GradCheckOptions } from './autograd/gradCheck.js';
