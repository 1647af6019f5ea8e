// A checkpoint is one safetensors file: the model under its state-dict names, `optim.` and `pruner.` tensors beside it,
// and everything else as JSON in the file's metadata. Nothing in it is ever executed.
import { writeData } from '../core/create.js';
import { SecateurError } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import { describeDevice } from '../core/device.js';
import { native } from '../core/native.js';
import { randomState, setRandomState } from '../core/random.js';
import { sameShape, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { SafetensorsFile, writeSafetensors } from '../io/safetensors.js';
import { fromFile, toFile } from '../io/torchLayout.js';
import type { Module } from '../nn/module.js';
import type { Optimizer, OptimizerJson } from '../optim/optimizer.js';
import { z } from 'zod';
import type { Pruner } from './pruner.js';

export interface Position {
  readonly step: number;
  readonly phaseIndex: number;
  readonly phaseStart: number;
}

export interface Saved {
  readonly model: Module;
  readonly optimizer: Optimizer<{ readonly lr: number }>;
  readonly pruner: Pruner | undefined;
  readonly position: Position;
}

const whole = z.number().int().nonnegative();
const header = z.strictObject({
  version: z.literal(1),
  position: z.strictObject({ step: whole, phaseIndex: whole, phaseStart: whole }),
  random: z.strictObject({ seed: whole, position: whole }),
  optimizer: z.strictObject({
    kind: z.string(),
    groups: z.array(z.strictObject({ params: z.array(z.string()), options: z.record(z.string(), z.unknown()) })),
    steps: z.record(z.string(), whole),
  }),
  pruner: z.strictObject({ name: z.string(), json: z.record(z.string(), z.unknown()) }).nullable(),
  environment: z.strictObject({ isa: z.string(), threads: whole, onednn: z.string(), gpu: z.string().default('') }),
});
type Environment = z.infer<typeof header>['environment'];

function environment(model: Module): Environment {
  const { isa, threads, onednn } = native.info();
  return { isa, threads, onednn, gpu: model.device === 'cuda' ? describeDevice('cuda') : '' };
}

/** Writes the state of a run, atomically. */
export function writeCheckpoint(path: string, { model, optimizer, pruner, position }: Saved): void {
  const state = toFile(model.namedState());
  const tensors = (prefix: string, map: ReadonlyMap<string, Tensor>): ReturnType<typeof toFile> =>
    toFile([...map].map(([name, tensor]) => ({ name: `${prefix}${name}`, tensor })));
  const meta: z.infer<typeof header> = {
    version: 1,
    position,
    random: randomState(),
    optimizer: optimizer.json() as z.infer<typeof header>['optimizer'],
    pruner: pruner === undefined ? null : { name: pruner.name, json: pruner.state.json },
    environment: environment(model),
  };
  const entries = [
    ...state.map(([name, a]): (typeof state)[number] => [`model.${name}`, a]),
    ...scope(() => tensors('optim.', optimizer.state())),
    ...tensors('pruner.', pruner?.state.tensors ?? new Map<string, Tensor>()),
  ];
  writeSafetensors(path, entries, { secateur: JSON.stringify(meta) });
}

/** Reads a checkpoint into a run. Everything is checked before anything is changed. */
export function readCheckpoint(
  path: string,
  { model, optimizer, pruner }: Saved,
): { position: Position; warnings: string[] } {
  const file = SafetensorsFile.open(path);
  try {
    const meta = parseHeader(path, file.metadata.get('secateur'));
    if ((meta.pruner?.name ?? '') !== (pruner?.name ?? '')) {
      throw new SecateurError(
        'ERR_CHECKPOINT',
        `${path} was written by method '${meta.pruner?.name ?? 'none'}'; this run uses '${pruner?.name ?? 'none'}'.`,
      );
    }
    const part = (
      prefix: string,
    ): { keys: () => string[]; array: (name: string) => ReturnType<SafetensorsFile['array']> } => ({
      keys: () =>
        file
          .keys()
          .filter((k) => k.startsWith(prefix))
          .map((k) => k.slice(prefix.length)),
      array: (name) => file.array(`${prefix}${name}`),
    });
    // Values for a GPU are read on the host and written into the tensors that are there.
    const device = model.device === 'ref' ? 'ref' : 'cpu';
    const read = (prefix: string): Map<string, Tensor> =>
      fromFile(part(prefix), prefix === 'model.' ? model.namedState() : [], device);
    const groups = { model: read('model.'), optim: read('optim.'), pruner: read('pruner.') };
    if (pruner !== undefined) checkState(path, pruner.state.tensors, groups.pruner);
    optimizer.checkLoad(meta.optimizer as OptimizerJson, groups.optim);
    model.loadStateDict(groups.model);
    optimizer.load(meta.optimizer as OptimizerJson, groups.optim);
    if (pruner !== undefined && meta.pruner !== null) {
      pruner.state.json = meta.pruner.json;
      for (const [name, t] of pruner.state.tensors) writeData(t, (groups.pruner.get(name) as Tensor).doubles());
    }
    setRandomState(meta.random);
    for (const group of Object.values(groups)) for (const t of group.values()) t.dispose();
    return { position: meta.position, warnings: differences(meta.environment, environment(model)) };
  } finally {
    file.close();
  }
}

function checkState(path: string, own: ReadonlyMap<string, Tensor>, given: ReadonlyMap<string, Tensor>): void {
  for (const [name, t] of own) {
    const g = given.get(name);
    if (g === undefined || !sameShape(g.shape, t.shape)) {
      throw new SecateurError(
        'ERR_CHECKPOINT',
        `${path}: pruner.${name} is ${g === undefined ? 'missing' : showShape(g.shape)}; the method needs ${showShape(t.shape)}.`,
      );
    }
  }
}

function parseHeader(path: string, text: string | undefined): z.infer<typeof header> {
  if (text === undefined)
    throw new SecateurError(
      'ERR_CHECKPOINT',
      `${path} holds tensors but no training state: it is not a checkpoint of a run. Load it with loadStateDict instead.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new SecateurError('ERR_CHECKPOINT', `${path}: the training state in its metadata is not JSON.`, {}, cause);
  }
  const parsed = header.safeParse(json);
  if (!parsed.success)
    throw new SecateurError(
      'ERR_CHECKPOINT',
      `${path}: the training state in its metadata is damaged: ${z.prettifyError(parsed.error)}`,
    );
  return parsed.data;
}

/** What makes a resumed run differ in its last bits from one that was never stopped. */
function differences(then: Environment, now: Environment): string[] {
  return (['isa', 'threads', 'onednn', 'gpu'] as const)
    .filter((k) => then[k] !== now[k])
    .map(
      (k) =>
        `the checkpoint was written with ${k} ${then[k] || 'none'}, this run has ${now[k] || 'none'}: results may differ in the last bits.`,
    );
}
