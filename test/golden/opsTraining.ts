// Golden losses, optimisers, learning-rate schedules and gradient clipping.
import { z } from 'zod';
import { crossEntropy, klDiv, mul, sum, tensor } from '../../lib/index.js';
import { Parameter } from '../../lib/nn/index.js';
import {
  Adam,
  AdamW,
  RMSprop,
  SGD,
  type Schedule,
  clipGradNorm_,
  cosineLr,
  linearWarmup,
  multiStepLr,
  oneCycleLr,
  polynomialLr,
  stepLr,
} from '../../lib/optim/index.js';
import type { Comparison } from './comparison.js';
import { type Part, part } from './part.js';

function crossEntropies(c: Comparison): void {
  const settings = {
    label_smoothing: z.number(),
    ignore_index: z.number().nullable(),
    weighted: z.boolean(),
    reduction: z.enum(['mean', 'sum', 'none']),
  };
  for (const { key, weighted, ...s } of c.file.cases('cross_entropy', settings)) {
    const x = c.leaf(`${key}/x`);
    const loss = crossEntropy(x, c.whole(`${key}/target`), {
      labelSmoothing: s.label_smoothing,
      reduction: s.reduction,
      ...(s.ignore_index !== null && { ignoreIndex: s.ignore_index }),
      ...(weighted && { weight: c.input(`${key}/class_weight`) }),
    });
    loss.backward(c.file.has(`${key}/g`) ? { grad: c.input(`${key}/g`) } : {});
    c.tensor(`${key}/loss`, loss);
    c.tensor(`${key}/dx`, x.grad);
  }
}

function distillation(c: Comparison): void {
  for (const { key, T: temperature } of c.file.cases('kl_distill', { T: z.number() })) {
    const student = c.leaf(`${key}/student`);
    const loss = klDiv(student, c.input(`${key}/teacher`), { temperature });
    loss.backward();
    c.tensor(`${key}/loss`, loss);
    c.tensor(`${key}/dstudent`, student.grad);
  }
}

const optimSettings = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('sgd'), momentum: z.number(), nesterov: z.boolean() }),
  z.object({ kind: z.literal('adam'), betas: z.tuple([z.number(), z.number()]), eps: z.number() }),
  z.object({ kind: z.literal('adamw'), betas: z.tuple([z.number(), z.number()]), eps: z.number() }),
  z.object({
    kind: z.literal('rmsprop'),
    alpha: z.number(),
    eps: z.number(),
    momentum: z.number(),
    centered: z.boolean(),
  }),
]);
const sharedSettings = z.object({ key: z.string(), lr: z.number(), weight_decay: z.number() });
const optimCase = z.intersection(sharedSettings, optimSettings);
type OptimCase = z.infer<typeof optimCase>;

function optimizerOf(params: readonly Parameter[], settings: OptimCase): SGD | Adam | AdamW | RMSprop {
  const shared = { lr: settings.lr, weightDecay: settings.weight_decay };
  switch (settings.kind) {
    case 'sgd':
      return new SGD(params, { ...shared, momentum: settings.momentum, nesterov: settings.nesterov });
    case 'adam':
      return new Adam(params, { ...shared, betas: settings.betas, eps: settings.eps });
    case 'adamw':
      return new AdamW(params, { ...shared, betas: settings.betas, eps: settings.eps });
    case 'rmsprop': {
      const { alpha, eps, momentum, centered } = settings;
      return new RMSprop(params, { ...shared, alpha, eps, momentum, centered });
    }
  }
}

function optimizers(c: Comparison): void {
  const schema = z.object({ params: z.number().int().positive().max(10_000), cases: z.array(optimCase) });
  const { params: count, cases } = c.file.section('optim', schema);
  const each = Array.from({ length: count }, (_, i) => i);
  const grads = each.map((i) => c.file.array(`optim/g${i}`));
  for (const settings of cases) {
    const params = each.map((i) => new Parameter(c.input(`optim/p${i}`)));
    const optimizer = optimizerOf(params, settings);
    const after: number[][] = each.map(() => []);
    const steps = c.file.array(`${settings.key}/p0`).shape[0] ?? 0;
    for (let t = 0; t < steps; t++) {
      optimizer.zeroGrad();
      params.forEach((p, i) => {
        const data = grads[i]?.data.slice(t * p.size, (t + 1) * p.size) as Float64Array;
        const g = tensor(data, { shape: p.shape, dtype: 'f32', device: c.device });
        // The gradient of sum(p g) is g.
        sum(mul(p, g)).backward();
      });
      optimizer.step();
      params.forEach((p, i) => after[i]?.push(...p.doubles()));
    }
    each.forEach((i) => c.close(`${settings.key}/p${i}`, after[i] as number[]));
  }
}

const scheduleCase = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('step'), step_size: z.number(), gamma: z.number() }),
  z.object({ kind: z.literal('multistep'), milestones: z.array(z.number()), gamma: z.number() }),
  z.object({ kind: z.literal('cosine'), t_max: z.number(), eta_min: z.number() }),
  z.object({ kind: z.literal('polynomial'), total: z.number(), power: z.number() }),
  z.object({
    kind: z.literal('one_cycle'),
    total: z.number(),
    pct_start: z.number(),
    anneal: z.enum(['cos', 'linear']),
    div_factor: z.number(),
    final_div_factor: z.number(),
  }),
  z.object({ kind: z.literal('warmup_cosine'), warmup: z.number(), total: z.number(), min_lr: z.number() }),
]);

function scheduleOf(s: z.infer<typeof scheduleCase>): Schedule {
  switch (s.kind) {
    case 'step':
      return stepLr({ stepSize: s.step_size, gamma: s.gamma });
    case 'multistep':
      return multiStepLr({ milestones: s.milestones, gamma: s.gamma });
    case 'cosine':
      return cosineLr({ tMax: s.t_max, etaMin: s.eta_min });
    case 'polynomial':
      return polynomialLr({ total: s.total, power: s.power });
    case 'one_cycle': {
      const { total, pct_start: pctStart, anneal, div_factor: divFactor, final_div_factor: finalDivFactor } = s;
      return oneCycleLr({ total, pctStart, anneal, divFactor, finalDivFactor });
    }
    case 'warmup_cosine':
      return linearWarmup(s.warmup, cosineLr({ tMax: s.total - s.warmup, etaMin: s.min_lr, hold: true }));
  }
}

function schedules(c: Comparison): void {
  const one = z.intersection(z.object({ key: z.string(), lr: z.number() }), scheduleCase);
  for (const settings of c.file.section('lr', z.object({ cases: z.array(one) })).cases) {
    const rate = scheduleOf(settings);
    const steps = c.file.array(settings.key).data;
    c.close(
      settings.key,
      steps.map((_, t) => rate(t, settings.lr)),
    );
  }
}

function clipping(c: Comparison): void {
  const settings = { max_norm: z.number(), norm_type: z.literal(2), tensors: z.number().int().positive().max(10_000) };
  for (const { key, max_norm: maxNorm, tensors } of c.file.cases('clip', settings)) {
    const leaves = Array.from({ length: tensors }, (_, i) => {
      const leaf = c.leaf(`${key}/g${i}`);
      leaf.grad = c.input(`${key}/g${i}`);
      return leaf;
    });
    c.tensor(`${key}/total_norm`, clipGradNorm_(leaves, maxNorm));
    leaves.forEach((leaf, i) => c.tensor(`${key}/clipped${i}`, leaf.grad));
  }
}

export const trainingParts: readonly Part[] = [
  part('cross_entropy', crossEntropies),
  part('kl_distill', distillation),
  part('optim', optimizers),
  part('lr', schedules),
  part('clip', clipping),
];
