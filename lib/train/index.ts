export { evaluate, timeSideBySide, type Evaluation } from './evaluate.js';
export type { FoldReport } from './fold.js';
export { histogramOf, type Histogram } from './histogram.js';
export { JsonlLogger } from './jsonl.js';
export { formatSeconds, Progress, type ProgressOptions, type StepFigures } from './progress.js';
export type {
  Batch,
  Clock,
  Context,
  Gate,
  MaskFold,
  NewParam,
  Phase,
  Progress as PhaseProgress,
  Projection,
  Pruner,
  PrunerEvent,
  Site,
  Slots,
  State,
  StepOutput,
} from './pruner.js';
export { prunableSites, type SiteFilter } from './pruning.js';
export { TensorBoardWriter } from './tensorboard.js';
export { Trainer, type StepReport, type TrainerOptions, type TrainingData, type TrainResult } from './trainer.js';
