export {
  Optimizer,
  type GroupOptions,
  type OptimizerJson,
  type ParamGroup,
  type Params,
  type Ranges,
} from './optimizer.js';
export type { MaskedWeights } from './masked.js';
export { SGD, type SgdOptions } from './sgd.js';
export { Adam, AdamW, type AdamOptions } from './adam.js';
export { RMSprop, type RmspropOptions } from './rmsprop.js';
export { clipGradNorm_ } from './clip.js';
export {
  type Schedule,
  type OneCycleOptions,
  constantLr,
  cosineLr,
  linearWarmup,
  LrScheduler,
  multiStepLr,
  oneCycleLr,
  polynomialLr,
  stepLr,
} from './lrSchedule.js';
export { Arena } from './arena.js';
