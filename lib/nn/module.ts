import { inspect } from 'node:util';
import { toDevice, writeData } from '../core/create.js';
import { type Device, checkDevice, defaultDevice } from '../core/device.js';
import { SecateurError, checkOptions, didYouMean } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import { sameShape, showShape } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { Buffer, Parameter } from './parameter.js';

/** A tensor of a module's state under its state-dict key. */
export interface StateEntry {
  readonly name: string;
  readonly tensor: Parameter | Buffer;
}

/** What did not fit when a state was loaded. */
export interface LoadReport {
  /** Keys of the module that were not given. */
  readonly missing: string[];
  /** Keys given that the module does not have. */
  readonly unexpected: string[];
  /** Keys whose shapes differ, with both shapes. */
  readonly mismatched: string[];
}

/** `runningMean` to `running_mean`: state-dict keys are PyTorch's. */
function fileKey(field: string): string {
  return field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/**
 * A part of a network: its class fields are its parameters, buffers and submodules, and their names its state-dict
 * keys. A subclass sets them in its constructor and defines `forward`.
 */
export abstract class Module {
  /** True while training: dropout drops, batch norm uses the batch's statistics. Set by `train()` and `eval()`. */
  training = true;
  #children: [string, Module][] | undefined;
  #own: StateEntry[] | undefined;

  /** The module's output. Called directly: a module is no function. */
  abstract forward(...inputs: Tensor[]): Tensor;

  /** Fields that hold modules (also in arrays, then numbered), found at the first use. */
  children(): readonly [string, Module][] {
    if (this.#children === undefined) {
      this.#children = Object.entries(this).flatMap(([field, value]): [string, Module][] => {
        if (value instanceof Module) return [[field, value]];
        if (!Array.isArray(value)) return [];
        return value.flatMap((v, i): [string, Module][] => (v instanceof Module ? [[`${field}.${i}`, v]] : []));
      });
    }
    return this.#children;
  }

  /** This module's own parameters and buffers. */
  ownState(): readonly StateEntry[] {
    this.#own ??= Object.entries(this)
      .filter((e): e is [string, Parameter | Buffer] => e[1] instanceof Parameter || e[1] instanceof Buffer)
      .map(([field, tensor]) => ({ name: fileKey(field), tensor }));
    return this.#own;
  }

  /** Keys that a PyTorch state dict has for this module and that hold nothing we compute with. */
  ignoredKeys(): readonly string[] {
    return [];
  }

  /** Every module, this one first, with its path. */
  *namedModules(prefix = ''): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.children()) yield* child.namedModules(join(prefix, name));
  }

  /** Every tensor of the state in order; a shared one under each of its names. */
  *namedState(): Generator<StateEntry> {
    for (const [path, module] of this.namedModules()) {
      for (const { name, tensor } of module.ownState()) yield { name: join(path, name), tensor };
    }
  }

  /** Parameters with their names; a shared parameter comes once, under its first name. */
  namedParameters(): [string, Parameter][] {
    const seen = new Set<Parameter>();
    const out: [string, Parameter][] = [];
    for (const { name, tensor } of this.namedState()) {
      if (!(tensor instanceof Parameter) || seen.has(tensor)) continue;
      seen.add(tensor);
      out.push([name, tensor]);
    }
    return out;
  }

  /** The parameters, each once. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, p]) => p);
  }

  /** Training mode for this module and all below it; `train(false)` is `eval()`. */
  train(on = true): this {
    for (const [, module] of this.namedModules()) module.training = on;
    return this;
  }

  /** Evaluation mode: nothing is dropped, norms use their running statistics. */
  eval(): this {
    return this.train(false);
  }

  /** Where its parameters are; the default device for a module without any. */
  get device(): Device {
    for (const { tensor } of this.namedState()) return tensor.device;
    return defaultDevice();
  }

  /**
   * Moves parameters, buffers and gradients to a device; the objects stay the same. All of it, or nothing when the
   * device has no room for it. An optimizer lays its parameters out
   * on the device they are on, so move a module before making one.
   *
   * @throws ERR_DEVICE, ERR_CUDA_UNAVAILABLE, ERR_OOM; ERR_ARGUMENT when an optimizer holds a parameter already
   */
  to(device: Device): this {
    checkDevice('to', device);
    const state = [...new Map([...this.namedState()].map(({ name, tensor }) => [tensor as Tensor, name]))];
    const away = state.filter(([t]) => t.device !== device);
    const held = away.find(([t]) => t.gradSlot !== undefined);
    if (held !== undefined)
      throw new SecateurError(
        'ERR_ARGUMENT',
        `to: an optimizer holds parameter ${held[1]} on ${held[0].device}. Move the module to ${device} before making the optimizer.`,
        { name: held[1], device },
      );
    const from = away.flatMap(([t]) => (t.grad === undefined ? [t] : [t, t.grad]));
    const moved = scope(() => from.map((t) => toDevice(t, device)));
    from.forEach((t, i) => {
      const there = moved[i] as Tensor;
      t.rebase(there.cell.retain(), device);
      there.dispose();
    });
    return this;
  }

  /** Forgets the gradients. */
  zeroGrad(): void {
    for (const p of this.parameters()) dropGrad(p);
  }

  /** The state by key. The tensors are the module's own, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map([...this.namedState()].map(({ name, tensor }) => [name, tensor]));
  }

  /**
   * Copies values into the state. `strict` (default) refuses missing, unexpected and mismatched keys, all at once and
   * before anything is changed; otherwise what fits is loaded and the rest reported.
   *
   * @throws ERR_STATE_DICT listing what does not fit
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>, options: { strict?: boolean } = {}): LoadReport {
    checkOptions('loadStateDict', options, ['strict']);
    const own = this.stateDict();
    const ignored = new Set<string>();
    for (const [path, module] of this.namedModules())
      for (const key of module.ignoredKeys()) ignored.add(join(path, key));
    const missing = [...own.keys()].filter((k) => !state.has(k));
    const unexpected = [...state.keys()].filter((k) => !own.has(k) && !ignored.has(k));
    const mismatched = [...own].flatMap(([k, t]) => {
      const given = state.get(k);
      return given === undefined || sameShape(given.shape, t.shape)
        ? []
        : [`${k} is ${showShape(given.shape)}, needs ${showShape(t.shape)}`];
    });
    const report = { missing, unexpected, mismatched };
    if (options.strict !== false && missing.length + unexpected.length + mismatched.length > 0) throw misfit(report);
    const written = new Set<Tensor>();
    for (const [key, tensor] of own) {
      const given = state.get(key);
      if (given === undefined || given === tensor || written.has(tensor) || !sameShape(given.shape, tensor.shape))
        continue;
      written.add(tensor);
      writeData(tensor, tensor.device === 'ref' ? given.doubles() : given.data());
    }
    return report;
  }

  /** Frees parameters, gradients and buffers. */
  dispose(): void {
    for (const { tensor } of this.namedState()) {
      dropGrad(tensor);
      tensor.gradSlot?.dispose();
      tensor.dispose();
    }
  }

  /** Settings, shown in the printed tree. */
  describe(): string {
    return '';
  }

  [inspect.custom](): string {
    const lines: string[] = [];
    const show = (name: string, module: Module, depth: number): void => {
      const n = module.parameters().reduce((sum, p) => sum + p.size, 0);
      const label = name === '' ? '' : `(${name}) `;
      const size = n > 0 ? `  ${n.toLocaleString('en')} parameters` : '';
      lines.push(`${'  '.repeat(depth)}${label}${module.constructor.name}(${module.describe()})${size}`);
      for (const [child, m] of module.children()) show(child, m, depth + 1);
    };
    show('', this, 0);
    return lines.join('\n');
  }
}

function misfit({ missing, unexpected, mismatched }: LoadReport): SecateurError {
  const shown = 8;
  const part = (what: string, list: readonly string[]): string =>
    list.length === 0
      ? ''
      : ` ${what}: ${list.slice(0, shown).join('; ')}${list.length > shown ? ` and ${list.length - shown} more` : ''}.`;
  const guess = unexpected[0] === undefined ? '' : didYouMean(unexpected[0], missing);
  return new SecateurError(
    'ERR_STATE_DICT',
    `loadStateDict:${part('missing', missing)}${part('unexpected', unexpected)}${part('mismatched', mismatched)}${guess} Pass strict: false to load what fits.`,
    { missing, unexpected, mismatched },
  );
}

/** Forgets a gradient; one that lies in an arena keeps its memory. */
function dropGrad(t: Tensor): void {
  if (t.grad !== undefined && t.grad !== t.gradSlot) t.grad.dispose();
  t.grad = undefined;
}
