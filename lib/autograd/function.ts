import { SecateurError } from '../core/errors.js';
import type { Thunk } from '../core/op.js';
import type { Tensor } from '../core/tensor.js';
import { edgeOf, Node, save } from './node.js';
import { isGradEnabled, noGrad } from './tape.js';

/** A function with a gradient of its own: what `customFunction` needs to know. */
export interface CustomFunction<I extends readonly Tensor[]> {
  readonly name: string;
  /** Computes the output from the inputs, unrecorded. `save` keeps tensors for backward. */
  forward(inputs: I, save: (...tensors: Tensor[]) => void): Tensor;
  /** The gradient of each input, from the upstream gradient; undefined where there is none. */
  backward(grad: Tensor, saved: readonly Tensor[]): readonly (Tensor | undefined)[];
}

/**
 * Makes a differentiable function whose gradient is written by hand, as a straight-through estimator needs.
 *
 * ```ts
 * const roundThrough = customFunction({ name: 'round', forward: ([x]) => ..., backward: (g) => [g] });
 * ```
 */
export function customFunction<I extends readonly Tensor[]>(definition: CustomFunction<I>): (...inputs: I) => Tensor {
  return (...inputs) => {
    const kept: Tensor[] = [];
    const y = noGrad(() => definition.forward(inputs, (...tensors) => kept.push(...tensors)));
    const edges = inputs.map(edgeOf);
    if (!isGradEnabled() || edges.every((e) => e === undefined)) return y;
    if ((inputs as readonly Tensor[]).includes(y)) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${definition.name}: forward returned one of its inputs; return a new tensor (clone it).`,
      );
    }
    const saved = kept.map((t) => save(t, false));
    new Node(definition.name, edges, [y], saved, ([grad], held) => {
      let result: readonly (Tensor | undefined)[] | undefined;
      // All gradients come from one call, made when the first is asked for.
      const all = (): readonly (Tensor | undefined)[] => (result ??= definition.backward(grad as Tensor, held));
      return inputs.map((_, i): Thunk | undefined =>
        edges[i] === undefined ? undefined : () => one(definition.name, all(), i),
      );
    });
    return y;
  };
}

function one(name: string, all: readonly (Tensor | undefined)[], i: number): Tensor {
  const g = all[i];
  if (g === undefined) {
    throw new SecateurError(
      'ERR_NO_GRADIENT',
      `backward of ${name}: it gave no gradient for input ${i}, which requires one.`,
    );
  }
  return g;
}
