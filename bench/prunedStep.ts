// PDP at 90 % from the first step on, bound to a model without a trainer: what the step benches measure.
import type { Module } from '../lib/nn/index.js';
import { type Context, prunableSites } from '../lib/train/index.js';
import { Binding } from '../lib/train/pruning.js';
import { PDP } from '../src/pdp/index.js';

/** Binds PDP and gives what has to be called before every step. */
export function pruneEveryStep(model: Module): () => void {
  const sites = prunableSites(model);
  const pruner = new PDP({ sparsity: 0.9, warmup: 0, epsilon: 1 });
  const binding = new Binding(model, pruner, sites);
  const clock = { step: 0, epoch: 0, stepsPerEpoch: 100, totalSteps: 100, phase: 'prune', phaseStep: 0 };
  const context = { model, sites, clock } as unknown as Context;
  pruner.on('phase', context);
  return () => {
    binding.newStep();
    pruner.on('step', context);
  };
}
