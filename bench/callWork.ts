// How the kernel bench makes inputs on the GPU and calls ops on them.
import { noGrad } from '../lib/autograd/tape.js';
import { cast, randn } from '../lib/index.js';
import type { AnyInputs } from '../lib/core/checkInputs.js';
import type { AnyOp } from '../lib/core/op.js';
import { runAny } from '../lib/core/run.js';
import type { Tensor } from '../lib/core/tensor.js';

export interface Work {
  readonly name: string;
  /** How many elements there are at scale 1, at which work is counted. On a GPU it is timed at a larger one. */
  readonly elements: number;
  /** Bytes an element that any kernel must move. */
  readonly floorBytes: number;
  /** Floating-point operations an element, where they are what the work is about: multiply and add count two. */
  readonly flops?: number;
  /** Prepares inputs of `scale` times as many elements on the GPU and gives the call that is counted or timed. */
  readonly make: (scale: number) => () => void;
  /** The same through the library that the vendor has for it, or the dense product that it takes the place of. */
  readonly peer?: { readonly library: 'cuBLASLt' | 'cuDNN'; readonly make: (scale: number) => () => void };
  /** The simulated GPU's L2, where it matters what fits; without it that of an A100. */
  readonly cacheBytes?: number;
}

/** Elements at scale 1. */
export const n = 1 << 20;

/** Normal numbers on the GPU, drawn on the CPU: a simulated GPU has better things to do. */
export const normal = (shape: readonly number[], dtype: 'f32' | 'bf16' = 'f32'): Tensor => {
  const x = randn(shape);
  return (dtype === 'f32' ? x : cast(x, dtype)).to('cuda');
};

export const op = (spec: unknown, inputs: AnyInputs, attrs: Record<string, unknown>, scalars = {}): (() => void) => {
  return () => void noGrad(() => runAny(spec as AnyOp, inputs, attrs, { scalars: scalars as never }));
};

/**
 * The call of a gradient op: it gets the inputs of the forward op, what that saves of its outputs, and `g`, a gradient
 * like the first of them.
 */
export function gradientCall(
  spec: unknown,
  forward: unknown,
  inputs: Record<string, Tensor>,
  attrs: Record<string, unknown>,
): () => void {
  const { plan, saves } = forward as AnyOp;
  const out = noGrad(() => runAny(forward as AnyOp, inputs, attrs));
  const outputs = plan.outputs.map(({ name }) => out[name]);
  const saved = Object.fromEntries(
    plan.outputs.map(({ name }, i) => [name, saves.includes(name) ? outputs[i] : undefined]),
  );
  const first = outputs[0] as Tensor;
  const all: Record<string, Tensor | undefined> = { ...inputs, ...saved, g: normal(first.shape, first.dtype as 'f32') };
  const wanted = (spec as AnyOp).plan;
  const given = Object.fromEntries(wanted.inputs.map(({ name }) => [name, all[name]]));
  const own = Object.fromEntries(wanted.attrs.map(({ name }) => [name, attrs[name]]));
  return op(spec, given, own);
}
