// The main job: train a network dense, prune it while it goes on training, measure both.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SecateurError } from '../../lib/core/errors.js';
import { type Device, describeDevice, device } from '../../lib/core/device.js';
import { setNumThreads } from '../../lib/core/memory.js';
import { manualSeed } from '../../lib/core/random.js';
import { type FashionMnist, loadFashionMnist } from '../../lib/data/fashionMnist.js';
import { ImageLoader } from '../../lib/data/imageLoader.js';
import { writeJsonAtomic } from '../../lib/io/atomicWrite.js';
import { makeFolder } from '../../lib/io/makeFolder.js';
import { SafetensorsFile, writeSafetensors } from '../../lib/io/safetensors.js';
import { fromFile, toFile } from '../../lib/io/torchLayout.js';
import type { Module } from '../../lib/nn/module.js';
import { SGD } from '../../lib/optim/sgd.js';
import { oneCycleLr } from '../../lib/optim/lrSchedule.js';
import { crossEntropy } from '../../lib/ops/crossEntropy.js';
import { type Evaluation, evaluate, timeSideBySide } from '../../lib/train/evaluate.js';
import { JsonlLogger } from '../../lib/train/jsonl.js';
import { Progress } from '../../lib/train/progress.js';
import { TensorBoardWriter } from '../../lib/train/tensorboard.js';
import { Trainer } from '../../lib/train/trainer.js';
import type { FoldReport } from '../../lib/train/fold.js';
import type { Pruner, Site } from '../../lib/train/pruner.js';
import { prunableSites } from '../../lib/train/pruning.js';
import { resnet18, resnet20 } from '../models/resnet.js';
import { PDP } from '../pdp/methods/pdp.js';
import { type SparsityReport, sparsityReport } from '../pdp/report.js';
import { type PruneOptions, full, quick } from './pruneOptions.js';

/** What a stopped run needs to know of the part that is done. JSON has null for a loss that is not finite. */
const denseRecord = z.object({
  evaluation: z.object({
    accuracy: z.number(),
    loss: z
      .number()
      .nullable()
      .transform((x) => x ?? NaN),
    samples: z.number(),
  }),
});

/** Weights of a layer before the final cut, for the report's histograms. */
export interface CutLayer {
  readonly name: string;
  readonly values: Float64Array;
  readonly threshold: number | null;
}

export interface JobResult {
  readonly options: PruneOptions;
  readonly steps: { readonly dense: number; readonly prune: number };
  readonly dense: Evaluation;
  readonly pruned: Evaluation;
  readonly report: SparsityReport;
  /** A batch through each network, the two taking turns. */
  readonly milliseconds: { readonly dense: number; readonly pruned: number };
  readonly cut: readonly CutLayer[];
  readonly batchSize: number;
  readonly device: string;
  /** Whether the optimizer worked the mask into its step. */
  readonly fold: FoldReport;
}

export const files = {
  dense: 'dense.safetensors',
  pruned: 'pruned.safetensors',
  denseRecord: 'dense.json',
  options: 'options.json',
  log: 'train.jsonl',
  checkpoint: (stage: string) => `${stage}.checkpoint.safetensors`,
} as const;

interface Plan {
  readonly trainLimit: number;
  readonly testLimit: number;
  readonly denseSteps: number;
  readonly pruneSteps: number;
}

function planOf(options: PruneOptions): Plan {
  const preset = options.full === true ? full : quick;
  return {
    trainLimit: options.trainLimit ?? preset.trainLimit,
    testLimit: options.testLimit ?? preset.testLimit,
    denseSteps: options.denseSteps ?? preset.denseSteps,
    pruneSteps: options.pruneSteps ?? preset.pruneSteps,
  };
}

/** One run of `secateur prune`: its data, its model, its folder. */
class Job {
  readonly #options: PruneOptions;
  readonly #plan: Plan;
  readonly #signal: AbortSignal;
  readonly #device: Device;
  readonly #model: Module;
  readonly #sites: readonly Site[];
  readonly #train: ImageLoader;
  readonly #test: () => ImageLoader;
  #fold: FoldReport = { on: false, reason: 'nothing is pruned' };
  readonly #log: JsonlLogger;
  readonly #board: TensorBoardWriter;

  constructor(options: PruneOptions, signal: AbortSignal, data: FashionMnist, on: Device) {
    this.#options = options;
    this.#plan = planOf(options);
    this.#signal = signal;
    this.#device = on;
    const { batchSize, seed } = options;
    this.#train = new ImageLoader(data.train, {
      batchSize,
      shuffle: true,
      dropLast: true,
      seed,
      limit: this.#plan.trainLimit,
      augment: { pad: 2, flip: true },
      device: on,
    });
    const normalize = this.#train.normalize;
    this.#test = () => new ImageLoader(data.test, { batchSize, limit: this.#plan.testLimit, normalize, device: on });
    this.#model = this.#newModel();
    this.#sites = prunableSites(this.#model);
    this.#log = new JsonlLogger(this.#path(files.log), { append: options.resume === true });
    this.#board = new TensorBoardWriter(this.#path('tensorboard'));
  }

  #newModel(): Module {
    const { model, width } = this.#options;
    const shape = { inChannels: 1, numClasses: 10, ...(width === undefined ? {} : { baseWidth: width }) };
    return (model === 'resnet20' ? resnet20(shape) : resnet18({ ...shape, stem: 'small' })).to(this.#device);
  }

  #load(model: Module, name: string): void {
    const saved = SafetensorsFile.open(this.#path(name));
    try {
      const state = fromFile(saved, model.namedState());
      model.loadStateDict(state);
      for (const t of state.values()) t.dispose();
    } finally {
      saved.close();
    }
  }

  #path(name: string): string {
    return join(this.#options.out, name);
  }

  readonly #loss = (output: Parameters<typeof crossEntropy>[0], target: Parameters<typeof crossEntropy>[1]) =>
    crossEntropy(output, target, { labelSmoothing: this.#options.labelSmoothing });

  /** Undefined when the run was interrupted. */
  async run(): Promise<JobResult | undefined> {
    // What cannot be met is known before anything is trained.
    const sizes = this.#sites.map((site) => site.weight.size);
    this.#newPruner().check(sizes, this.#train.length, this.#plan.pruneSteps);
    try {
      const dense = await this.#denseStage();
      return dense === undefined ? undefined : await this.#pruneStage(dense);
    } finally {
      this.#log.close();
      this.#board.close();
    }
  }

  /** The dense stage is the warm-up. */
  #newPruner(): PDP {
    const { sparsity, tau, allocation, finetuneSteps } = this.#options;
    return new PDP({ sparsity, tau, allocation, warmup: 0, finetune: finetuneSteps });
  }

  async #denseStage(): Promise<Evaluation | undefined> {
    const record = this.#path(files.denseRecord);
    if (this.#options.resume === true && existsSync(record)) {
      this.#load(this.#model, files.dense);
      return readRecord(record, denseRecord).evaluation;
    }
    if (!(await this.#stage('dense', this.#plan.denseSteps, this.#options.lr))) return undefined;
    const evaluation = await this.#evaluate('dense', this.#plan.denseSteps);
    writeSafetensors(this.#path(files.dense), toFile(this.#model.namedState()), {});
    writeJsonAtomic(record, { evaluation });
    rmSync(this.#path(files.checkpoint('dense')), { force: true });
    return evaluation;
  }

  async #pruneStage(dense: Evaluation): Promise<JobResult | undefined> {
    const { lr, batchSize } = this.#options;
    const { denseSteps, pruneSteps } = this.#plan;
    const pruner = this.#newPruner();
    const cut: CutLayer[] = [];
    const finished = await this.#stage('prune', pruneSteps, lr / 2, pruner, () => {
      for (const { name, weight } of this.#sites)
        cut.push({ name, values: weight.doubles(), threshold: pruner.threshold(name) });
    });
    if (!finished) return undefined;
    const pruned = await this.#evaluate('prune', pruneSteps);
    writeSafetensors(this.#path(files.pruned), toFile(this.#model.namedState()), {});
    const milliseconds = await this.#time();
    const report = sparsityReport(this.#model, this.#sites, [28, 28, 1]);
    return {
      options: this.#options,
      steps: { dense: denseSteps, prune: pruneSteps },
      dense,
      pruned,
      report,
      milliseconds,
      cut,
      batchSize,
      device: describeDevice(this.#device),
      fold: this.#fold,
    };
  }

  /** One stage of training, with the progress bar, the logs and the checkpoint. False when interrupted. */
  async #stage(
    stage: 'dense' | 'prune',
    steps: number,
    lr: number,
    pruner?: Pruner,
    beforeFinish?: () => void,
  ): Promise<boolean> {
    const { weightDecay, bf16, resume } = this.#options;
    const checkpoint = this.#path(files.checkpoint(stage));
    const optimizer = new SGD(this.#model.namedParameters(), { lr, momentum: 0.9, nesterov: true, weightDecay });
    const progress = new Progress({ label: stage, total: steps });
    const trainer = new Trainer({
      model: this.#model,
      optimizer,
      loss: this.#loss,
      data: this.#train,
      steps,
      schedule: oneCycleLr({ total: steps, pctStart: stage === 'dense' ? 0.2 : 0.1 }),
      autocast: bf16 === true,
      signal: this.#signal,
      checkpoint,
      ...(pruner === undefined ? {} : { pruner }),
      onStep: (r) => {
        progress.update(r.step + 1, {
          loss: r.loss,
          accuracy: r.accuracy,
          images: r.samples,
          ...(pruner === undefined ? {} : { sparsity: r.sparsity }),
        });
        this.#log.log({ stage, ...r });
        this.#board.scalar(`${stage}/loss`, r.loss, r.step);
        this.#board.scalar(`${stage}/accuracy`, r.accuracy, r.step);
        this.#board.scalar(`${stage}/sparsity`, r.sparsity, r.step);
        this.#board.scalar(`${stage}/lr`, r.lr, r.step);
      },
    });
    this.#fold = trainer.fold;
    try {
      if (resume === true && existsSync(checkpoint))
        for (const warning of trainer.resume(checkpoint)) progress.note(`warning: ${warning}`);
      const { stopped } = await trainer.run();
      if (stopped === 'aborted') return false;
      beforeFinish?.();
      trainer.finish();
      return true;
    } finally {
      progress.stop();
      optimizer.dispose();
    }
  }

  async #time(): Promise<{ dense: number; pruned: number }> {
    const dense = this.#newModel();
    this.#load(dense, files.dense);
    const [batch] = this.#train.epoch(0);
    if (batch === undefined) throw new SecateurError('ERR_DATA', 'prune: there is no batch to time.');
    const [a, b] = (await timeSideBySide([dense, this.#model], batch.input)) as [number, number];
    for (const t of [batch.input, batch.target]) t.dispose();
    dense.dispose();
    return { dense: a, pruned: b };
  }

  async #evaluate(stage: 'dense' | 'prune', step: number): Promise<Evaluation> {
    const evaluation = await evaluate(this.#model, this.#test().epoch(0), this.#loss);
    this.#log.log({ stage, step, testAccuracy: evaluation.accuracy, testLoss: evaluation.loss });
    this.#board.scalar(`${stage}/testAccuracy`, evaluation.accuracy, step);
    return evaluation;
  }
}

// What decides the outcome: a run can only be resumed with the same.
const decisive = [
  'data',
  'model',
  'width',
  'method',
  'sparsity',
  'tau',
  'allocation',
  'denseSteps',
  'pruneSteps',
  'finetuneSteps',
  'batchSize',
  'lr',
  'weightDecay',
  'labelSmoothing',
  'trainLimit',
  'testLimit',
  'full',
  'bf16',
  'seed',
] as const;

/** What an earlier run left, or ERR_CHECKPOINT. */
function readRecord<T>(path: string, schema: z.ZodType<T>): T {
  let why: string;
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
    if (parsed.success) return parsed.data;
    why = z.prettifyError(parsed.error);
  } catch (cause) {
    why = (cause as Error).message;
  }
  throw new SecateurError('ERR_CHECKPOINT', `--resume: ${path} is damaged: ${why}. Start a new run in another --out.`);
}

function checkResume(options: PruneOptions, path: string): void {
  if (!existsSync(path))
    throw new SecateurError(
      'ERR_CHECKPOINT',
      `--resume: ${options.out} holds no run to go on with. Start one without --resume.`,
    );
  const before = readRecord(path, z.record(z.string(), z.unknown()));
  for (const name of decisive) {
    if (before[name] !== options[name]) {
      throw new SecateurError(
        'ERR_CHECKPOINT',
        `--resume: the run in ${options.out} had ${name} ${JSON.stringify(before[name] ?? null)}, now it is ${JSON.stringify(options[name] ?? null)}. Give the same options, or start a new run in another --out.`,
      );
    }
  }
}

/** Runs the job. Undefined when it was interrupted; what is needed to resume lies in the output folder. */
export async function runPruneJob(options: PruneOptions, signal: AbortSignal): Promise<JobResult | undefined> {
  const data = loadFashionMnist(options.dataDir === undefined ? {} : { dataDir: options.dataDir });
  try {
    makeFolder(options.out);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SecateurError('ERR_IO', `--out ${options.out}: ${why}. Choose another folder.`, {}, cause);
  }
  const path = join(options.out, files.options);
  if (options.resume === true) checkResume(options, path);
  else {
    for (const name of [files.denseRecord, files.checkpoint('dense'), files.checkpoint('prune')])
      rmSync(join(options.out, name), { force: true });
    writeJsonAtomic(path, options as unknown as Record<string, unknown>);
  }
  manualSeed(options.seed);
  if (options.threads !== undefined) setNumThreads(options.threads);
  const on = device(options.device);
  console.error(`secateur: device: ${describeDevice(on)}, output: ${options.out}`);
  return new Job(options, signal, data, on).run();
}
