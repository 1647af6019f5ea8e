// Golden residual networks: evaluation, the first training step with all its gradients, and five steps of SGD.
import { z } from 'zod';
import type { Tensor } from '../../lib/core/tensor.js';
import { crossEntropy, gradNorm, noGrad, scope } from '../../lib/index.js';
import { fromFile } from '../../lib/io/torchLayout.js';
import { BatchNorm2d, type Module, Parameter } from '../../lib/nn/index.js';
import { SGD, clipGradNorm_ } from '../../lib/optim/index.js';
import { resnet18, resnet50 } from '../../src/models/index.js';
import { type Comparison, largestMagnitude } from './comparison.js';
import { channelsLast, permuted } from './goldenFile.js';
import type { Part } from './part.js';

const models = { resnet18, resnet50 };

const configSettings = z.object({
  base_width: z.number(),
  classes: z.number(),
  bn_eps: z.number(),
  bn_momentum: z.number(),
});
const optimSettings = z.object({
  kind: z.literal('sgd'),
  lr: z.number(),
  momentum: z.number(),
  weight_decay: z.number(),
  nesterov: z.boolean(),
  dampening: z.literal(0),
  decayed: z.literal('all parameters'),
  label_smoothing: z.number(),
  clip_grad_norm: z.number().nullable(),
});

/** The network of the file, in its initial state. */
function load(c: Comparison, name: keyof typeof models): Module {
  const config = c.file.section('config', configSettings);
  const inChannels = c.file.array('input/images').shape[1] ?? 0;
  const model = models[name]({ numClasses: config.classes, baseWidth: config.base_width, inChannels });
  for (const [, layer] of model.namedModules()) {
    if (layer instanceof BatchNorm2d) Object.assign(layer, { eps: config.bn_eps, momentum: config.bn_momentum });
  }
  model.loadStateDict(fromFile(c.file.source('state/'), model.namedState(), c.device));
  return model;
}

/** Values in the file's order of axes. */
function inFileOrder(t: Tensor, axes: readonly number[] | undefined): Float64Array {
  const values = t.doubles();
  return axes === undefined ? values : permuted({ data: values, shape: t.shape }, axes).data;
}

/** One run of a network, and what is to be compared along it. */
class Run {
  readonly #c: Comparison;
  readonly #model: Module;
  readonly #images: Tensor;
  readonly #targets: Tensor;
  readonly #optim: z.infer<typeof optimSettings>;
  readonly #series = new Map<string, number[]>();

  constructor(c: Comparison, model: Module) {
    this.#c = c;
    this.#model = model;
    this.#images = c.input('input/images', channelsLast);
    this.#targets = c.whole('input/targets');
    this.#optim = c.file.section('optim', optimSettings);
  }

  #note(key: string, ...values: number[]): void {
    const series = this.#series.get(key) ?? [];
    series.push(...values);
    this.#series.set(key, series);
  }

  #forward(): { logits: Tensor; loss: Tensor } {
    const logits = this.#model.forward(this.#images);
    return { logits, loss: crossEntropy(logits, this.#targets, { labelSmoothing: this.#optim.label_smoothing }) };
  }

  evaluate(): { logits: Float64Array; loss: number } {
    this.#model.eval();
    const result = noGrad(() => scope(this.#forward.bind(this)));
    const values = { logits: result.logits.doubles(), loss: result.loss.item() };
    result.logits.dispose();
    result.loss.dispose();
    return values;
  }

  #compareGradients(): void {
    // Gradients that are zero by symmetry hold rounding noise: they are measured against the largest of all.
    const largest = Math.max(...this.#c.file.keys('grad/').map((k) => largestMagnitude(this.#c.file.array(k).data)));
    for (const [name, p] of this.#model.namedParameters()) {
      this.#c.close(`grad/${name}`, inFileOrder(p.grad as Tensor, p.fileAxes), 1e-3 * largest);
    }
  }

  #compareState(group: string, wanted: (t: Tensor) => boolean): void {
    for (const { name, tensor: t } of this.#model.namedState()) {
      if (!wanted(t) || !this.#c.file.has(`${group}/${name}`)) continue;
      this.#c.close(`${group}/${name}`, inFileOrder(t, t instanceof Parameter ? t.fileAxes : undefined));
    }
  }

  #noteParameters(): void {
    for (const [name, p] of this.#model.namedParameters()) {
      const values = inFileOrder(p, p.fileAxes);
      const points = this.#c.file.array(`probe/${name}`).shape[1] ?? 0;
      for (let j = 0; j < points; j++)
        this.#note(`probe/${name}`, values[Math.floor((j * values.length) / points)] ?? NaN);
      this.#note(`norm/${name}`, Math.sqrt(values.reduce((sum, x) => sum + x * x, 0)));
    }
  }

  train(steps: number): void {
    const { lr, momentum, weight_decay: weightDecay, nesterov, clip_grad_norm: maxNorm } = this.#optim;
    const parameters = this.#model.parameters();
    const optimizer = new SGD(parameters, { lr, momentum, weightDecay, nesterov });
    for (let step = 0; step < steps; step++) {
      this.#model.train();
      optimizer.zeroGrad();
      scope(() => {
        const { logits, loss } = this.#forward();
        loss.backward();
        if (step === 0) {
          this.#c.tensor('train/logits', logits);
          this.#c.tensor('train/loss', loss);
          this.#compareGradients();
          this.#compareState('buffers', (t) => !(t instanceof Parameter));
        }
        this.#note('trace/loss', loss.item());
        this.#note('trace/grad_norm', gradNorm(parameters.map((p) => p.grad as Tensor)).item());
        if (maxNorm !== null) clipGradNorm_(parameters, maxNorm);
        noGrad(() => optimizer.step());
      });
      this.#noteParameters();
      this.#note('trace/eval_loss', this.evaluate().loss);
    }
    for (const [key, values] of this.#series) this.#c.close(key, values);
    this.#c.close('trace/final_logits', this.evaluate().logits);
    this.#compareState('after', () => true);
    this.#images.dispose();
    this.#targets.dispose();
  }
}

function compareModel(c: Comparison, name: keyof typeof models): void {
  const model = load(c, name);
  const run = new Run(c, model);
  const { logits, loss } = run.evaluate();
  c.close('eval/logits', logits);
  c.close('eval/loss', [loss]);
  run.train(c.file.array('trace/loss').data.length);
  model.dispose();
}

/** All groups of a residual network's file: one run gives them all. */
export function resnetParts(name: keyof typeof models): readonly Part[] {
  const groups = ['eval', 'train', 'grad', 'buffers', 'trace', 'probe', 'norm', 'after'];
  return [{ groups, run: (c) => compareModel(c, name) }];
}
