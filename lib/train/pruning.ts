import { isGradEnabled, noGrad } from '../autograd/tape.js';
import { SecateurError } from '../core/errors.js';
import { scope } from '../core/lifetime.js';
import { run } from '../core/run.js';
import type { Tensor } from '../core/tensor.js';
import { Conv2d } from '../nn/conv.js';
import { Linear } from '../nn/linear.js';
import type { Module } from '../nn/module.js';
import { BatchNorm2d } from '../nn/norm.js';
import type { Parameter, WeightTransform } from '../nn/parameter.js';
import { broadcastToOp } from '../ops/broadcast.js';
import { mulOp } from '../ops/binary.js';
import type { Pruner, Site, Slots } from './pruner.js';

export interface SiteFilter {
  /** Only weights whose names match one of these (default: every Linear and Conv2d weight). */
  readonly include?: readonly RegExp[];
  /** Weights to leave alone. */
  readonly exclude?: readonly RegExp[];
}

/** The weights of a model that may be pruned: those of Linear and Conv2d layers, never biases, norms or embeddings. */
export function prunableSites(model: Module, filter: SiteFilter = {}): Site[] {
  const sites: Site[] = [];
  const seen = new Set<Parameter>();
  for (const [path, layer] of model.namedModules()) {
    if (!(layer instanceof Linear || layer instanceof Conv2d) || seen.has(layer.weight)) continue;
    seen.add(layer.weight);
    const name = path === '' ? 'weight' : `${path}.weight`;
    if (filter.include !== undefined && !filter.include.some((r) => r.test(name))) continue;
    if (filter.exclude?.some((r) => r.test(name)) === true) continue;
    sites.push({ name, weight: layer.weight, layer });
  }
  if (sites.length === 0) {
    throw new SecateurError(
      'ERR_ARGUMENT',
      'pruning: no Linear or Conv2d weight of this model is left to prune. Check include and exclude.',
    );
  }
  return sites;
}

interface Memo {
  version: number;
  recorded: boolean;
  value: Tensor;
}

/** Binds a method to the weights of a model: from then on layers compute with what the method makes of them. */
export class Binding {
  readonly sites: readonly Site[];
  readonly #pruner: Pruner;
  readonly #memos = new Map<Parameter, Memo>();
  readonly #gated: BatchNorm2d[] = [];

  constructor(model: Module, pruner: Pruner, sites: readonly Site[]) {
    this.sites = sites;
    this.#pruner = pruner;
    for (const site of sites) {
      if (site.weight.transform !== undefined) {
        throw new SecateurError(
          'ERR_ARGUMENT',
          `pruning: ${site.name} is bound to a method already. Finish that one first.`,
          { site: site.name },
        );
      }
    }
    if (pruner.weight !== undefined) {
      for (const site of sites) site.weight.transform = this.#transform(site);
    }
    if (pruner.gate !== undefined) this.#bindGates(model, sites);
  }

  #transform(site: Site): WeightTransform {
    return {
      effective: (w) => {
        const memo = this.#memos.get(w);
        const version = w.cell.stamp.version;
        if (memo?.version === version && memo.recorded === isGradEnabled() && !memo.value.disposed) return memo.value;
        const value = this.#pruner.weight?.(site, w) ?? w;
        this.#memos.set(w, { version, recorded: isGradEnabled(), value });
        return value;
      },
    };
  }

  // A convolution's channels are gated by the norm that follows it, whose path in the model comes next.
  #bindGates(model: Module, sites: readonly Site[]): void {
    let last: Site | undefined;
    for (const [, layer] of model.namedModules()) {
      const site = sites.find((s) => s.layer === layer);
      if (site !== undefined) last = site;
      else if (layer instanceof BatchNorm2d && last !== undefined) {
        const of = last;
        layer.gate = () => this.#pruner.gate?.(of);
        this.#gated.push(layer);
        last = undefined;
      }
    }
  }

  /** Forgets the effective weights of the last step: their tape is gone. */
  newStep(): void {
    this.#memos.clear();
  }

  /** Multiplies weights (and optimizer state) by the masks the method declares. */
  project(slots: Slots): void {
    const pruner = this.#pruner;
    if (pruner.project === undefined) return;
    // Asked outside the scope: a mask that the method makes here is the method's to keep.
    const projections = this.sites.map((site) => pruner.project?.(site));
    noGrad(() =>
      scope(() => {
        this.sites.forEach(({ weight }, i) => {
          const projection = projections[i];
          if (projection === undefined) return;
          for (const t of [weight as Tensor, ...(projection.slots ? slots.of(weight) : [])])
            run(mulOp, { a: t, b: projection.mask }, {}, { into: t });
        });
      }),
    );
  }

  /** Undoes the binding and leaves the final weights in place: a plain model. */
  finish(): void {
    const pruner = this.#pruner;
    this.release();
    if (pruner.finish === undefined) return;
    noGrad(() =>
      scope(() => {
        for (const site of this.sites) {
          const final = pruner.finish?.(site);
          if (final !== undefined)
            run(broadcastToOp, { x: final }, { shape: site.weight.shape }, { into: site.weight });
        }
      }),
    );
  }

  /** Lets go of the model without touching its weights. */
  release(): void {
    this.#memos.clear();
    for (const site of this.sites) site.weight.transform = undefined;
    for (const norm of this.#gated) norm.gate = undefined;
  }
}
