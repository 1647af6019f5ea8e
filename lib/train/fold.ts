import type { Tensor } from '../core/tensor.js';
import type { Module } from '../nn/module.js';
import type { Pruner, Site } from './pruner.js';

/** Whether the optimizer's step works the pruning mask in, and if not, why. */
export type FoldReport = { readonly on: true } | { readonly on: false; readonly reason: string };

interface Setting {
  readonly model: Module;
  readonly optimizer: { maskRefusal(weights: readonly Tensor[]): string | undefined };
  readonly pruner?: Pruner;
  readonly capture?: boolean;
  readonly fold?: boolean;
}

/** The name of a pruned weight that more than one layer owns. */
function tied(model: Module, sites: readonly Site[]): string | undefined {
  const owners = new Map<Tensor, number>();
  for (const { tensor } of model.namedState()) owners.set(tensor, (owners.get(tensor) ?? 0) + 1);
  return sites.find(({ weight }) => (owners.get(weight) ?? 0) > 1)?.name;
}

/** Decides about the fold. What speaks against it is said by name. */
export function foldOf(setting: Setting, sites: readonly Site[]): FoldReport {
  const { model, optimizer, pruner, capture, fold = true } = setting;
  const off = (reason: string): FoldReport => ({ on: false, reason });
  if (pruner === undefined) return off('nothing is pruned');
  if (pruner.fold === undefined) return off(`${pruner.name} has no soft mask to fold`);
  if (!fold) return off('it was switched off (fold: false)');
  if (pruner.fold.refusal !== undefined) return off(pruner.fold.refusal);
  if (capture === true)
    return off('a captured step repeats the calls of the first one, which has to make the first mask (capture)');
  const shared = tied(model, sites);
  if (shared !== undefined) return off(`${shared} is tied: several layers own it`);
  const refusal = optimizer.maskRefusal(sites.map((s) => s.weight));
  return refusal === undefined ? { on: true } : off(refusal);
}
