export { histogramOf, type Histogram } from './histogram.js';
export { JsonlLogger } from './jsonl.js';
export { formatSeconds, Progress, type ProgressOptions, type StepFigures } from './progress.js';
export { TensorBoardWriter } from './tensorboard.js';
