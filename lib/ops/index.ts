// One line an op: what stands here becomes a method of Tensor. `export *` keeps the docstrings on hover.
export * from './avgPool.js';
export * from './binary.js';
export * from './broadcast.js';
export * from './conv2d.js';
export * from './extremes.js';
export * from './layerNorm.js';
export * from './matmul.js';
export * from './maxPool.js';
export * from './norm.js';
export * from './relu.js';
export * from './reshape.js';
export * from './softmax.js';
export * from './sum.js';
export * from './unary.js';
export * from './variance.js';
