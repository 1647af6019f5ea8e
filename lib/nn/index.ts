export { Conv2d, type Conv2dOptions, type Pair } from './conv.js';
export * as init from './init.js';
export {
  AdaptiveAvgPool2d,
  AvgPool2d,
  Dropout,
  Embedding,
  Flatten,
  GELU,
  MaxPool2d,
  ReLU,
  Sequential,
} from './layers.js';
export { Linear, type LinearOptions } from './linear.js';
export { CrossEntropyLoss, MSELoss } from './loss.js';
export { Module, type LoadReport, type StateEntry } from './module.js';
export { BatchNorm2d, LayerNorm, type BatchNorm2dOptions, type NormGate } from './norm.js';
export { Buffer, Parameter, type WeightTransform } from './parameter.js';
