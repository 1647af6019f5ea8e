export { Module, dropGrad, type LoadReport, type StateEntry } from './module.js';
export { Buffer, Parameter, type WeightTransform } from './parameter.js';
