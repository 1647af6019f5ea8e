import { writeData } from '../core/create.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import { sameShape, showShape } from '../core/shape.js';
import { Tensor } from '../core/tensor.js';
import { noGrad } from '../autograd/tape.js';
import type { PdpStepOptions, PdpStepTensors } from '../ops/pdpStep.js';
import type { Clip } from '../ops/gradNorm.js';
import { Arena } from './arena.js';
import { type MaskedWeights, forgetGrad, maskedGrads, unfold } from './masked.js';

/** Parameters, plain or with names (`module.namedParameters()`): a name is the key of a parameter's state in a checkpoint. */
export type Params = Iterable<Tensor<'f32'> | readonly [string, Tensor<'f32'>]>;
/** Parameters with options of their own; what is left out comes from the optimizer's options. */
export type GroupOptions<O> = { readonly params: Params } & Partial<O>;

export interface ParamGroup<O> {
  readonly names: readonly string[];
  readonly params: readonly Tensor<'f32'>[];
  readonly options: Readonly<O>;
}

/** What `json()` gives: everything but the tensors. */
export interface OptimizerJson {
  readonly kind: string;
  readonly groups: readonly { readonly params: readonly string[]; readonly options: Record<string, unknown> }[];
  /** Steps taken by each parameter. */
  readonly steps: Readonly<Record<string, number>>;
}

/** A run of neighbouring parameters, as flat tensors. */
export interface Ranges {
  readonly weights: readonly Tensor[];
  readonly grads: readonly Tensor[];
  readonly slots: Readonly<Record<string, readonly Tensor[]>>;
  /** The number of this step for each range, from 1. */
  readonly steps: readonly number[];
}

interface Group<O> extends ParamGroup<O> {
  options: O;
  readonly arena: Arena;
  readonly slots: ReadonlyMap<string, Tensor>;
  readonly steps: number[];
}

/** Refuses a number outside [low, high). */
export function checkRange(where: string, name: string, value: unknown, low: number, high: number): void {
  if (typeof value === 'number' && value >= low && value < high) return;
  const needed = high === Infinity ? `a finite number, ${low} or more` : `a number from ${low} to below ${high}`;
  throw new SecateurError('ERR_ARGUMENT', `${where}: ${name} is ${String(value)}; needs ${needed}.`, { name, value });
}

function isGroup<O>(x: unknown): x is GroupOptions<O> {
  return typeof x === 'object' && x !== null && !(x instanceof Tensor) && !Array.isArray(x) && 'params' in x;
}

/**
 * What all optimizers share: groups of parameters, each in an arena, so that one call updates ranges of neighbouring
 * parameters; state by name; steps counted for each parameter. A parameter without a gradient is skipped: neither it nor
 * its state changes.
 */
export abstract class Optimizer<O extends { readonly lr: number }> {
  readonly #groups: Group<O>[] = [];
  readonly #defaults: O;

  /** The optimizer's name, part of its checkpoint. */
  abstract readonly kind: string;
  /** Refuses options out of range. */
  protected abstract check(options: O): void;
  /** Names of the state tensors that these options need. */
  protected abstract slotNames(options: O): readonly string[];
  /** One step of the ranges, in one native call. */
  protected abstract update(ranges: Ranges, options: O): void;
  /** The same for weights under a mask, where the optimizer has such a step. */
  protected updateMasked?(
    tensors: PdpStepTensors,
    slots: Ranges['slots'],
    steps: readonly number[],
    options: O & PdpStepOptions,
  ): void;

  /** @throws ERR_OPTION on an unknown option, ERR_ARGUMENT on a bad value or a parameter given twice */
  constructor(params: Params | Iterable<GroupOptions<O>>, options: Partial<O>, defaults: O) {
    checkOptions(new.target.name, options, Object.keys(defaults));
    this.#defaults = { ...defaults, ...options };
    this.check(this.#defaults);
    if (typeof (params as Partial<Params>)[Symbol.iterator] !== 'function')
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${new.target.name}: what it is to train is no list; needs model.namedParameters() or model.parameters().`,
      );
    const list = [...params];
    if (list.length === 0) throw new SecateurError('ERR_ARGUMENT', `${new.target.name}: there are no parameters.`);
    if (list.every(isGroup)) for (const group of list) this.addGroup(group as GroupOptions<O>);
    else this.addGroup({ params: list as Params & unknown[] } as unknown as GroupOptions<O>);
  }

  /** The groups in order, with their options as they are now. */
  get groups(): readonly ParamGroup<O>[] {
    return this.#groups;
  }

  /** Adds parameters with options of their own; what is left out comes from the optimizer's options. */
  addGroup(group: GroupOptions<O>): void {
    const where = this.constructor.name;
    checkOptions(where, group, ['params', ...Object.keys(this.#defaults)]);
    const { params: given, ...own } = group;
    const options = { ...this.#defaults, ...own } as unknown as O;
    this.check(options);
    const taken = new Set(this.#groups.flatMap((g) => g.params));
    const used = new Set(this.#groups.flatMap((g) => g.names));
    const names: string[] = [];
    const params: Tensor<'f32'>[] = [];
    for (const one of given) {
      const [name, p] = (one instanceof Tensor ? [String(taken.size), one] : one) as [string, Tensor<'f32'>];
      if (!(p instanceof Tensor) || p.dtype !== 'f32')
        throw new SecateurError('ERR_DTYPE', `${where}: parameter ${name} is no f32 tensor.`, { name });
      if (taken.has(p) || used.has(name)) {
        throw new SecateurError(
          'ERR_ARGUMENT',
          `${where}: parameter ${name} is given twice. Leave out the second one.`,
          {
            name,
          },
        );
      }
      taken.add(p.alive(where));
      used.add(name);
      names.push(name);
      params.push(p);
    }
    const arena = new Arena(params);
    const slots = new Map(this.slotNames(options).map((name) => [name, arena.slot()]));
    this.#groups.push({ names, params, options, arena, slots, steps: params.map(() => 0) });
  }

  /**
   * Updates every parameter that has a gradient, and those under a mask. `clip` is for the latter, whose gradients do
   * not exist before the step: the norm that `clipGradNorm_` gave when it knew of them.
   */
  step(masked?: MaskedWeights, clip?: Clip): void {
    scope(() =>
      noGrad(() => {
        if (masked !== undefined) this.#stepMasked(masked, clip);
        for (const group of this.#groups) this.#stepGroup(group);
      }),
    );
  }

  /** Why `step` cannot take a mask over these parameters in; undefined: it can. */
  maskRefusal(weights: readonly Tensor[]): string | undefined {
    if (this.updateMasked === undefined) return `${this.constructor.name} has no step with a mask in it`;
    if (this.#groupOf(weights) === undefined) return 'the pruned weights are not all in one parameter group';
    return undefined;
  }

  #groupOf(weights: readonly Tensor[]): Group<O> | undefined {
    return this.#groups.find(({ params }) => weights.every((w) => params.includes(w as Tensor<'f32'>)));
  }

  #stepMasked(masked: MaskedWeights, clip: Clip | undefined): void {
    const { weights, effective, levels, counts, state, k, tau } = masked;
    const group = this.#groupOf(weights);
    const grads = maskedGrads(masked);
    if (grads === undefined || group === undefined || this.updateMasked === undefined) return unfold(masked, clip);
    const at = weights.map((w) => group.params.indexOf(w));
    for (const i of at) group.arena.settle(i);
    const parts = (flat: Tensor): Tensor[] => at.map((i) => group.arena.part(flat, i));
    const slots = Object.fromEntries([...group.slots].map(([name, flat]) => [name, parts(flat)]));
    for (const i of at) group.steps[i] = (group.steps[i] as number) + 1;
    const steps = at.map((i) => group.steps[i] as number);
    const tensors = { weights, grads, effective, levels, counts, state };
    this.updateMasked(tensors, slots, steps, { ...group.options, k, tau, clip });
    for (const e of effective) forgetGrad(e);
    masked.stepped();
  }

  #stepGroup(group: Group<O>): void {
    const { params, arena, steps } = group;
    params.forEach((_, i) => arena.settle(i));
    const bounds: [number, number][] = [];
    for (let from = 0; from < params.length;) {
      let to = from;
      while (to < params.length && params[to]?.grad !== undefined && steps[to] === steps[from]) to++;
      if (to > from) bounds.push([from, to]);
      from = Math.max(to, from + 1);
    }
    if (bounds.length === 0) return;
    const ranges = (flat: Tensor): Tensor[] => bounds.map(([from, to]) => arena.range(flat, from, to));
    const slots = Object.fromEntries([...group.slots].map(([name, flat]) => [name, ranges(flat)]));
    const next = bounds.map(([from]) => (steps[from] as number) + 1);
    this.update({ weights: ranges(arena.weights), grads: ranges(arena.grads), slots, steps: next }, group.options);
    for (const [from, to] of bounds) {
      for (let i = from; i < to; i++) {
        steps[i] = (steps[i] as number) + 1;
        // The ranges have versions of their own: what the tape saved of a parameter is stale now.
        const { stamp } = (params[i] as Tensor).cell;
        stamp.version++;
        stamp.writer = this.kind;
      }
    }
  }

  /** Forgets the gradients; the next backward starts anew. */
  zeroGrad(): void {
    for (const { params } of this.#groups) {
      for (const p of params) {
        if (p.grad !== p.gradSlot) p.grad?.dispose();
        p.grad = undefined;
      }
    }
  }

  /** Sets the learning rate of one group, or of all. */
  setLr(lr: number, group?: number): void {
    checkRange(`${this.constructor.name}.setLr`, 'lr', lr, 0, Infinity);
    if (group !== undefined && this.#groups[group] === undefined) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${this.constructor.name}.setLr: there is no group ${group}; count from 0.`,
        {
          group,
          groups: this.#groups.length,
        },
      );
    }
    this.#groups.forEach((g, i) => {
      if (group === undefined || i === group) g.options = { ...g.options, lr };
    });
  }

  /** Zeroes the state and the step count of some parameters, or of all: they start afresh. */
  clearState(params?: Iterable<Tensor>): void {
    const chosen = params === undefined ? undefined : new Set<Tensor>(params);
    for (const { params: own, arena, slots, steps } of this.#groups) {
      own.forEach((p, i) => {
        if (chosen !== undefined && !chosen.delete(p)) return;
        steps[i] = 0;
        scope(() => {
          for (const flat of slots.values()) writeData(arena.part(flat, i), new Float32Array(p.size));
        });
      });
    }
    if (chosen !== undefined && chosen.size > 0)
      throw new SecateurError(
        'ERR_ARGUMENT',
        `clearState: ${chosen.size} of the tensors belong to no group of this optimizer.`,
      );
  }

  /** The state tensors of one parameter, in its shape: views, given to the innermost scope. */
  slotsOf(param: Tensor): Tensor[] {
    for (const { params, arena, slots } of this.#groups) {
      const i = params.indexOf(param as Tensor<'f32'>);
      if (i >= 0) return [...slots.values()].map((flat) => arena.part(flat, i));
    }
    return [];
  }

  /** The state by `<parameter>.<slot>`, in the parameters' shapes: views of it, given to the innermost scope. */
  state(): Map<string, Tensor> {
    const out = new Map<string, Tensor>();
    for (const { names, arena, slots } of this.#groups) {
      names.forEach((name, i) => {
        for (const [slot, flat] of slots) out.set(`${name}.${slot}`, arena.part(flat, i));
      });
    }
    return out;
  }

  /** Options and step counts, for a checkpoint beside `state()`. */
  json(): OptimizerJson {
    const groups = this.#groups.map(({ names, options }) => ({ params: names, options: { ...options } }));
    const steps = this.#groups.flatMap((g) => g.names.map((name, i) => [name, g.steps[i] as number] as const));
    return { kind: this.kind, groups, steps: Object.fromEntries(steps) };
  }

  /** Whether `load` would take this. @throws ERR_CHECKPOINT saying what does not fit */
  checkLoad(json: OptimizerJson, state: ReadonlyMap<string, Tensor>): void {
    const wrong = (what: string): SecateurError =>
      new SecateurError(
        'ERR_CHECKPOINT',
        `${this.constructor.name}.load: ${what}. Build the optimizer as it was when it was saved.`,
      );
    if (json.kind !== this.kind) throw wrong(`the state is of ${String(json.kind)}, not ${this.kind}`);
    if (json.groups?.length !== this.#groups.length)
      throw wrong(`the state has ${json.groups?.length} groups, the optimizer ${this.#groups.length}`);
    scope(() => {
      const own = this.state();
      this.#groups.forEach((group, g) => {
        const { params, options } = json.groups[g] as OptimizerJson['groups'][number];
        if (params.join() !== group.names.join()) throw wrong(`group ${g} holds other parameters`);
        checkOptions(`${this.constructor.name}.load`, options, Object.keys(this.#defaults));
        const merged = { ...group.options, ...options } as O;
        this.check(merged);
        if (this.slotNames(merged).join() !== [...group.slots.keys()].join())
          throw wrong(`the options of group ${g} need other state`);
        for (const name of group.names) {
          const steps = json.steps?.[name];
          if (!Number.isSafeInteger(steps) || (steps as number) < 0) throw wrong(`parameter ${name} has no step count`);
        }
      });
      for (const [key, t] of own) {
        const given = state.get(key);
        if (given === undefined) throw wrong(`'${key}' is missing`);
        if (!sameShape(given.shape, t.shape))
          throw wrong(`'${key}' has shape ${showShape(given.shape)}, needs ${showShape(t.shape)}`);
      }
      for (const key of state.keys()) if (!own.has(key)) throw wrong(`'${key}' belongs to no parameter`);
    });
  }

  /**
   * Takes over what `json()` and `state()` gave, options included: the next step is bit for bit the one that would have
   * followed. Nothing changes unless all of it fits.
   *
   * @throws ERR_CHECKPOINT saying what does not fit
   */
  load(json: OptimizerJson, state: ReadonlyMap<string, Tensor>): void {
    this.checkLoad(json, state);
    scope(() => {
      for (const [key, t] of this.state()) {
        const given = state.get(key) as Tensor;
        writeData(t, t.device === 'ref' ? given.doubles() : given.data());
      }
      this.#groups.forEach((group, g) => {
        group.options = { ...group.options, ...json.groups[g]?.options };
        group.names.forEach((name, i) => (group.steps[i] = json.steps[name] as number));
      });
    });
  }

  /** Frees the state and the gradients. The parameters keep their values. */
  dispose(): void {
    for (const { arena } of this.#groups) arena.dispose();
  }
}
