// What pruning achieved, counted and measured.
import { gzipSync } from 'node:zlib';
import { readFileSync, statSync } from 'node:fs';
import { noGrad } from '../../lib/autograd/tape.js';
import { countOperations } from '../../lib/core/cost.js';
import { scope } from '../../lib/core/lifetime.js';
import type { Shape } from '../../lib/core/shape.js';
import type { Tensor } from '../../lib/core/tensor.js';
import type { Module } from '../../lib/nn/module.js';
import type { Site } from '../../lib/train/pruner.js';
import { zeros } from '../../lib/ops/creation.js';

/** One prunable weight. */
export interface LayerReport {
  readonly name: string;
  readonly shape: Shape;
  readonly parameters: number;
  readonly nonzeros: number;
  readonly sparsity: number;
  /** Multiply-accumulates a sample: of the dense weight, and of its nonzeros alone. */
  readonly macs: number;
  readonly macsNonzero: number;
}

export interface SparsityReport {
  readonly layers: readonly LayerReport[];
  readonly prunable: { readonly parameters: number; readonly nonzeros: number; readonly sparsity: number };
  /** Over every parameter: biases and norms included. */
  readonly all: { readonly parameters: number; readonly nonzeros: number; readonly sparsity: number };
  readonly macs: number;
  readonly macsNonzero: number;
}

function nonzeros(t: Tensor): number {
  const values = t.doubles();
  let n = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) n++;
  return n;
}

/** Multiply-accumulates of one sample by weight, and those of products without a weight under undefined. */
function macsByWeight(model: Module, inputShape: Shape): Map<Tensor | undefined, number> {
  const found = new Map<Tensor | undefined, number>();
  const parameters = model.parameters();
  const training = model.training;
  model.eval();
  try {
    scope(() =>
      noGrad(() => {
        const device = parameters[0]?.device ?? 'cpu';
        const { costs } = countOperations(() => model.forward(zeros([1, ...inputShape], { device })));
        for (const { op, flops, inputs } of costs) {
          if (op !== 'conv2d' && op !== 'matmul') continue;
          const weight = parameters.find((p) => Object.values(inputs).includes(p));
          found.set(weight, (found.get(weight) ?? 0) + flops / 2);
        }
      }),
    );
  } finally {
    model.train(training);
  }
  return found;
}

/**
 * Counts parameters, nonzeros and multiply-accumulates of a plain model (after `finalize`). `inputShape` is the shape
 * of one sample, without the batch axis.
 */
export function sparsityReport(model: Module, sites: readonly Site[], inputShape: Shape): SparsityReport {
  const macs = macsByWeight(model, inputShape);
  const layers = sites.map(({ name, weight }): LayerReport => {
    const live = nonzeros(weight);
    const own = macs.get(weight) ?? 0;
    return {
      name,
      shape: weight.shape,
      parameters: weight.size,
      nonzeros: live,
      sparsity: 1 - live / weight.size,
      macs: own,
      macsNonzero: (own * live) / weight.size,
    };
  });
  const pruned = new Set<Tensor>(sites.map((s) => s.weight));
  let parameters = 0;
  let live = 0;
  let otherMacs = macs.get(undefined) ?? 0;
  for (const p of model.parameters()) {
    parameters += p.size;
    live += nonzeros(p);
    if (!pruned.has(p)) otherMacs += macs.get(p) ?? 0;
  }
  const sum = (f: (l: LayerReport) => number): number => layers.reduce((n, l) => n + f(l), 0);
  const total = (n: number, nz: number): { parameters: number; nonzeros: number; sparsity: number } => ({
    parameters: n,
    nonzeros: nz,
    sparsity: 1 - nz / n,
  });
  return {
    layers,
    prunable: total(
      sum((l) => l.parameters),
      sum((l) => l.nonzeros),
    ),
    all: total(parameters, live),
    macs: sum((l) => l.macs) + otherMacs,
    macsNonzero: sum((l) => l.macsNonzero) + otherMacs,
  };
}

/** Size of a file as it is, and compressed with gzip, which is where zeros pay. */
export function fileSizes(path: string): { bytes: number; gzip: number } {
  return { bytes: statSync(path).size, gzip: gzipSync(readFileSync(path), { level: 6 }).length };
}
