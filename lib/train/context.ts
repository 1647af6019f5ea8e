import { noGrad } from '../autograd/tape.js';
import { SecateurError } from '../core/errors.js';
import { enter, type Tensor } from '../core/tensor.js';
import type { Module } from '../nn/module.js';
import type { Batch, Clock, Context, Site } from './pruner.js';

/** The trainer's own clock; everybody else sees it read-only. */
export class MutableClock implements Clock {
  step = 0;
  phase = '';
  phaseStart = 0;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;

  constructor(stepsPerEpoch: number, totalSteps: number) {
    this.stepsPerEpoch = stepsPerEpoch;
    this.totalSteps = totalSteps;
  }

  get epoch(): number {
    return Math.floor(this.step / this.stepsPerEpoch);
  }

  get phaseStep(): number {
    return this.step - this.phaseStart;
  }

  moveTo(step: number): void {
    this.step = step;
  }
}

/** What a pruning method may see of the run. */
export function makeContext(
  model: Module,
  sites: readonly Site[],
  clock: Clock,
  data: { epoch(epoch: number): Iterable<Batch> },
  teacher: Module | undefined,
): Context {
  return {
    model,
    sites,
    clock,
    teacher,
    // eslint-disable-next-line @typescript-eslint/require-await -- the interface allows sources that wait
    async *batches() {
      yield* data.epoch(0);
    },
    run: (input, options = {}) => runModel(model, sites, input, options.capture ?? [], options.replace ?? new Map()),
  };
}

function runModel(
  model: Module,
  sites: readonly Site[],
  input: Tensor,
  capture: readonly string[],
  replace: ReadonlyMap<string, Tensor>,
): { output: Tensor; captured: Map<string, Tensor> } {
  const captured = new Map<string, Tensor>();
  const modules = new Map(model.namedModules());
  const before = new Map([...modules.values()].map((m) => [m, m.training]));
  const undo: (() => void)[] = [];
  for (const name of capture) {
    const layer = modules.get(name);
    if (layer === undefined)
      throw new SecateurError('ERR_ARGUMENT', `capture: the model has no layer '${name}'.`, { name });
    const forward = layer.forward.bind(layer);
    layer.forward = (...inputs) => {
      const y = forward(...inputs);
      // A second owner: a model may free its layers' results before it returns.
      captured.set(name, y.share());
      return y;
    };
    undo.push(() => {
      // The method of the class shows again once the instance has none of its own.
      delete (layer as { forward?: unknown }).forward;
    });
  }
  for (const [name, weight] of replace) {
    const site = sites.find((s) => s.name === name);
    if (site === undefined)
      throw new SecateurError('ERR_ARGUMENT', `replace: no prunable weight is called '${name}'.`, { name });
    const transform = site.weight.transform;
    site.weight.transform = { effective: () => weight };
    undo.push(() => (site.weight.transform = transform));
  }
  try {
    model.eval();
    const output = noGrad(() => model.forward(input));
    return { output, captured };
  } finally {
    for (const t of captured.values()) enter(t);
    for (const restore of undo) restore();
    for (const [m, training] of before) m.training = training;
  }
}
