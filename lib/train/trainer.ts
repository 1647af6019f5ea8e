import { autocast } from '../autograd/autocast.js';
import { noGrad } from '../autograd/tape.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import type { Tensor } from '../core/tensor.js';
import type { Module } from '../nn/module.js';
import { clipGradNorm_ } from '../optim/clip.js';
import type { MaskedWeights } from '../optim/masked.js';
import { type Schedule, constantLr } from '../optim/lrSchedule.js';
import type { Optimizer } from '../optim/optimizer.js';
import { add } from '../ops/binary.js';
import type { Clip } from '../ops/gradNorm.js';
import { CapturedSteps, refuseWaiting } from './capturedSteps.js';
import { type Saved, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { MutableClock, makeContext } from './context.js';
import { type Counted, moveBatch, tallyCorrect } from './evaluate.js';
import { type FoldReport, foldOf } from './fold.js';
import type { Batch, Context, Phase, Pruner, PrunerEvent } from './pruner.js';
import { Binding, type SiteFilter, prunableSites } from './pruning.js';

/**
 * Batches by epoch, endlessly many epochs; deterministic, so that epoch and position say which batch comes next. The
 * trainer disposes the tensors of each batch after its step: give new ones every time.
 */
export interface TrainingData {
  /** Batches in an epoch. */
  readonly length: number;
  /** The batches of one epoch, from batch `start` (default 0) on. */
  epoch(epoch: number, start?: number): Iterable<Batch>;
}

export interface StepReport {
  /** The step just taken, from 0. */
  readonly step: number;
  readonly epoch: number;
  readonly phase: string;
  readonly loss: number;
  /** Share of right answers in the batch; NaN where the targets are no classes. */
  readonly accuracy: number;
  readonly lr: number;
  /** Share of all prunable weights that the method is pruning now. */
  readonly sparsity: number;
  readonly samples: number;
}

export interface TrainerOptions {
  /** What is trained. A parameter that requires no gradient, or that the optimizer lacks, stays as it is. */
  model: Module;
  optimizer: Optimizer<{ readonly lr: number }>;
  /** One number from the model's output and a batch's target. */
  loss: (output: Tensor, target: Tensor) => Tensor;
  data: TrainingData;
  /** Optimizer steps in all. */
  steps: number;
  /** The learning rate at a step, from the rate a parameter group was given (default: that rate throughout). */
  schedule?: Schedule;
  /** The pruning method (default: none, plain training). */
  pruner?: Pruner;
  /** Which weights it prunes (default: those of linear layers and convolutions). */
  sites?: SiteFilter;
  /** A trained model that the method's loss compares with. */
  teacher?: Module;
  /** Compute matrix products and convolutions in bf16. */
  autocast?: boolean;
  /**
   * On the GPU: record the step once for each phase and replay it as one launch. For batches of one shape; another one
   * (a last batch that is not full) is an ordinary step. Hooks of the method have to be synchronous.
   */
  capture?: boolean;
  /** Scale the gradients down to this global norm. */
  clipGradNorm?: number;
  /** Work the pruning mask into the optimizer's step where that is possible (default true); `Trainer.fold` says if it is. */
  fold?: boolean;
  /** Aborting ends training after the step in hand. */
  signal?: AbortSignal;
  /** Where the state is saved, every `checkpointEvery` steps and when the signal stops training. */
  checkpoint?: string;
  /** Steps from one checkpoint to the next (default: an epoch). What a killed process loses. */
  checkpointEvery?: number;
  onStep?: (report: StepReport) => void;
}

export interface TrainResult {
  /** All steps (or all phases) are done, or the signal came. */
  readonly stopped: 'done' | 'aborted';
  /** Optimizer steps taken in all, those before a resume included. */
  readonly step: number;
}

const optionNames = [
  'model',
  'optimizer',
  'loss',
  'data',
  'steps',
  'schedule',
  'pruner',
  'sites',
  'teacher',
  'autocast',
  'capture',
  'clipGradNorm',
  'fold',
  'signal',
  'checkpoint',
  'checkpointEvery',
  'onStep',
] as const;

/**
 * The training loop: forward, backward, update, with a pruning method's hooks at their places. Each step runs in one
 * scope and then yields to the event loop once. Batches are moved to the model's device.
 */
export class Trainer {
  /** Whether the optimizer's step works the pruning mask in, equal bit for bit, and if not, why. */
  readonly fold: FoldReport;
  readonly #o: TrainerOptions;
  readonly #clock: MutableClock;
  readonly #binding: Binding | undefined = undefined;
  readonly #context: Context;
  // What each parameter group was given, before any schedule.
  readonly #baseRates: readonly number[] = [];
  #phases: Phase[] | undefined;
  #phaseIndex = 0;
  #resumed = false;
  readonly #captured: CapturedSteps | undefined = undefined;
  // Parameters that somebody froze stay as they are.
  readonly #frozen: ReadonlySet<string>;
  // Where the checkpoint in the file stands.
  #savedStep: number | undefined;
  // The learning rate of the step in hand, for its report.
  #lr = 0;

  constructor(options: TrainerOptions) {
    checkOptions('Trainer', options, optionNames);
    for (const name of ['steps', 'checkpointEvery'] as const) {
      const n = options[name] ?? 1;
      if (!Number.isInteger(n) || n < 1)
        throw new SecateurError('ERR_ARGUMENT', `Trainer: ${name} is ${n}; needs a whole number of at least 1.`);
    }
    if (options.data.length < 1)
      throw new SecateurError('ERR_DATA', 'Trainer: the data has no batch. Use more images or a smaller batch.');
    if (options.capture === true && options.model.device !== 'cuda') {
      throw new SecateurError(
        'ERR_DEVICE',
        `Trainer: capture is for models on the GPU; this one is on ${options.model.device}. Move it with model.to('cuda').`,
      );
    }
    this.#o = options;
    if (options.capture === true) this.#captured = new CapturedSteps((batch) => this.#capturedStep(batch));
    this.#clock = new MutableClock(options.data.length, options.steps);
    const { pruner, model } = options;
    this.#frozen = new Set(model.namedParameters().flatMap(([name, p]) => (p.requiresGrad ? [] : [name])));
    const sites = pruner === undefined ? [] : prunableSites(model, options.sites);
    this.#context = makeContext(model, sites, this.#clock, options.data, options.teacher);
    if (pruner !== undefined) {
      this.#binding = new Binding(model, pruner, sites);
      for (const { name, tensor, lr, weightDecay } of pruner.params?.(sites) ?? []) {
        const own = { ...(lr === undefined ? {} : { lr }), ...(weightDecay === undefined ? {} : { weightDecay }) };
        options.optimizer.addGroup({ params: [[`pruner.${name}`, tensor]], ...own });
      }
    }
    this.fold = foldOf(options, sites);
    if (pruner?.fold !== undefined) pruner.fold.on = this.fold.on;
    this.#baseRates = options.optimizer.groups.map((g) => g.options.lr);
  }

  get context(): Context {
    return this.#context;
  }

  /** Everything needed to go on from here. */
  #snapshot(): Saved {
    const { model, optimizer, pruner } = this.#o;
    return {
      model,
      optimizer,
      pruner,
      position: { step: this.#clock.step, phaseIndex: this.#phaseIndex, phaseStart: this.#clock.phaseStart },
    };
  }

  /** Writes a checkpoint. Atomic: a failure leaves the file that was there. */
  save(path: string): void {
    writeCheckpoint(path, this.#snapshot());
  }

  /** Takes up where a checkpoint stopped. Gives warnings about what differs from the run that wrote it. */
  resume(path: string): string[] {
    const { position, warnings } = readCheckpoint(path, this.#snapshot());
    this.#clock.moveTo(position.step);
    this.#clock.phaseStart = position.phaseStart;
    this.#phaseIndex = position.phaseIndex;
    this.#resumed = true;
    if (path === this.#o.checkpoint) this.#savedStep = position.step;
    return warnings;
  }

  /** Trains to the end, or until the signal. */
  async run(): Promise<TrainResult> {
    try {
      return await this.#run();
    } finally {
      this.#setTrainable(undefined);
      this.#captured?.dispose();
    }
  }

  async #run(): Promise<TrainResult> {
    const { data, steps, pruner } = this.#o;
    this.#phases = pruner?.phases?.(this.#context) ?? [{ name: 'train', train: { until: () => false } }];
    this.#o.model.train();
    await this.#enterPhase(this.#resumed);
    while (this.#clock.step < steps) {
      const before = this.#clock.step;
      const start = before % data.length;
      for (const batch of data.epoch(this.#clock.epoch, start)) {
        if (this.#o.signal?.aborted === true) {
          dispose(batch);
          return this.#abort();
        }
        const more = await this.#nextPhases();
        if (!more) {
          dispose(batch);
          return { stopped: 'done', step: this.#clock.step };
        }
        if (this.#clock.step % data.length === 0) await this.#tell('epoch');
        await this.#step(batch);
        if (this.#clock.step >= steps) break;
        if (this.#clock.step % (this.#o.checkpointEvery ?? data.length) === 0) this.#saveCheckpoint();
      }
      if (this.#clock.step === before)
        throw new SecateurError(
          'ERR_DATA',
          `Trainer: epoch ${this.#clock.epoch} of the data gave no batch from batch ${start} on; its length says ${data.length}.`,
        );
    }
    return { stopped: 'done', step: this.#clock.step };
  }

  /** Undoes the binding of the pruning method and leaves a plain model with its final weights. */
  finish(): void {
    this.#binding?.finish();
  }

  #saveCheckpoint(): void {
    if (this.#o.checkpoint === undefined) return;
    this.save(this.#o.checkpoint);
    this.#savedStep = this.#clock.step;
  }

  #abort(): TrainResult {
    this.#saveCheckpoint();
    return { stopped: 'aborted', step: this.#clock.step };
  }

  get #phase(): Phase | undefined {
    return this.#phases?.[this.#phaseIndex];
  }

  async #tell(event: PrunerEvent): Promise<void> {
    const optimizer = this.#o.optimizer;
    await this.#o.pruner?.on?.(event, this.#context, { of: (w) => optimizer.slotsOf(w) });
  }

  async #enterPhase(resumed: boolean): Promise<void> {
    const phase = this.#phase;
    if (phase === undefined) return;
    this.#clock.phase = phase.name;
    if (!resumed) this.#clock.phaseStart = this.#clock.step;
    this.#setTrainable('train' in phase ? phase.trainable : undefined);
    await this.#tell('phase');
    if ('solve' in phase) for await (const progress of phase.solve(this.#context)) void progress;
  }

  #setTrainable(wanted: ((name: string) => boolean) | undefined): void {
    for (const [name, p] of this.#o.model.namedParameters())
      p.requiresGrad = !this.#frozen.has(name) && (wanted?.(name) ?? true);
  }

  /** Moves on past phases that are over. False when none is left. */
  async #nextPhases(): Promise<boolean> {
    for (let phase = this.#phase; phase !== undefined; phase = this.#phase) {
      if ('train' in phase && !phase.train.until(this.#clock)) return true;
      this.#phaseIndex++;
      await this.#enterPhase(false);
    }
    return false;
  }

  #rates(): number[] {
    const { schedule = constantLr, pruner } = this.#o;
    return this.#baseRates.map((lr, i) => {
      const base = (step: number): number => schedule(step, lr);
      return pruner?.rate?.(this.#clock, i, base) ?? base(this.#clock.step);
    });
  }

  async #step(given: Batch): Promise<void> {
    const samples = given.target.size;
    let counted = this.#captured?.run(this.#clock.phase, given);
    if (counted !== undefined) dispose(given);
    else {
      const batch = moveBatch(given, this.#o.model.device);
      this.#binding?.newStep();
      await this.#tell('step');
      counted = this.#update(batch);
      await this.#tell('stepped');
      dispose(batch);
    }
    await this.#report(counted, samples);
  }

  /** The same in one piece, for a recording. */
  #capturedStep(batch: Batch): Counted {
    const { pruner, optimizer } = this.#o;
    const tell = (event: PrunerEvent): void => {
      const result = pruner?.on?.(event, this.#context, { of: (w) => optimizer.slotsOf(w) });
      refuseWaiting(`${pruner?.name}, on('${event}')`, result);
    };
    this.#binding?.newStep();
    tell('step');
    const counted = this.#update(batch);
    tell('stepped');
    return counted;
  }

  /** Forward, backward, update. */
  #update(batch: Batch): Counted {
    const { optimizer } = this.#o;
    const rates = this.#rates();
    rates.forEach((lr, i) => optimizer.setLr(lr, i));
    this.#lr = rates[0] ?? 0;
    optimizer.zeroGrad();
    const counted = scope((): Counted => {
      const { output, loss } = this.#forward(batch);
      loss.backward();
      noGrad(() => {
        const masked = this.fold.on ? this.#o.pruner?.fold?.masked(this.#context) : undefined;
        optimizer.step(masked, this.#clip(masked));
      });
      return { loss, correct: tallyCorrect(output, batch.target) };
    });
    this.#binding?.project({ of: (w) => optimizer.slotsOf(w) });
    return counted;
  }

  /** Clips the gradients that there are, and says by what norm the step has to clip those that it makes. */
  #clip(masked: MaskedWeights | undefined): Clip | undefined {
    const maxNorm = this.#o.clipGradNorm;
    if (maxNorm === undefined) return undefined;
    return { norm: clipGradNorm_(this.#o.model.parameters(), maxNorm, masked), maxNorm };
  }

  #forward(batch: Batch): { output: Tensor; loss: Tensor } {
    const { model, pruner, teacher } = this.#o;
    const compute = (): { output: Tensor; loss: Tensor } => {
      const output = model.forward(batch.input);
      const loss = this.#o.loss(output, batch.target);
      if (pruner?.loss === undefined) return { output, loss };
      const taught = teacher === undefined ? undefined : noGrad(() => teacher.eval().forward(batch.input));
      const term = pruner.loss({ output, loss, batch, teacher: taught });
      return { output, loss: term === undefined ? loss : add(loss, term) };
    };
    return this.#o.autocast === true ? autocast({}, compute) : compute();
  }

  /** Reads the loss, which waits for the step to be done, and watches that it is a number. */
  async #report(counted: Counted, samples: number): Promise<void> {
    const loss = (await counted.loss.dataAsync())[0] as number;
    const correct = counted.correct === undefined ? NaN : ((await counted.correct.dataAsync())[0] as number);
    counted.loss.dispose();
    counted.correct?.dispose();
    const { step, epoch, phase } = this.#clock;
    const lr = this.#lr;
    const sparsity = this.#o.pruner?.sparsity?.(this.#clock).now ?? 0;
    this.#clock.moveTo(step + 1);
    if (!Number.isFinite(loss)) throw this.#notFinite(loss, step, lr);
    this.#o.onStep?.({ step, epoch, phase, loss, accuracy: correct / samples, lr, sparsity, samples });
  }

  /** What this step has made of the weights is of no use: the checkpoint before it stays. */
  #notFinite(loss: number, step: number, lr: number): SecateurError {
    const saved =
      this.#savedStep === undefined ? '' : ` ${this.#o.checkpoint} holds the state after ${this.#savedStep} steps.`;
    return new SecateurError(
      'ERR_NOT_FINITE',
      `training: the loss became ${loss} at step ${step} with learning rate ${lr}. Lower the learning rate, warm up longer or clip gradients (clipGradNorm).${saved}`,
      { step, loss, lr },
    );
  }
}

function dispose(batch: Batch): void {
  batch.input.dispose();
  batch.target.dispose();
}
