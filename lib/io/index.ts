export { writeFileAtomic, writeJsonAtomic } from './atomicWrite.js';
export {
  rawArrayOf,
  toFloat32,
  toFloat64,
  toInt32,
  type FileDType,
  type PlainValues,
  type RawArray,
} from './rawArray.js';
export { SafetensorsFile, writeSafetensors, type TensorInfo } from './safetensors.js';
export { fromFile, toFile, type ArraySource, type FileTensor } from './torchLayout.js';
