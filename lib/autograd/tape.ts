import { SecateurError } from '../core/errors.js';
import type { AnyOp, Into, Like, Thunk } from '../core/op.js';
import { type Call, run, slots } from '../core/run.js';
import { sameShape, showShape } from '../core/shape.js';
import { Tensor, ownAlone, swapOwner } from '../core/tensor.js';
import { refusePromise } from '../core/lifetime.js';
import { add, add_ } from '../ops/binary.js';
import { broadcastToOp } from '../ops/broadcast.js';
import { constant } from '../ops/creation.js';
import { type Apply, type Edge, Node, type Saved, edgeOf, save } from './node.js';

let recording = true;

/** Whether operations are being recorded (false inside `noGrad`). */
export function isGradEnabled(): boolean {
  return recording;
}

/** Runs a synchronous function without recording: nothing in it gets a gradient. */
export function noGrad<T>(fn: () => T): T {
  const before = recording;
  recording = false;
  try {
    const value = fn();
    refusePromise('noGrad', value);
    return value;
  } finally {
    recording = before;
  }
}

/** Records a call of an op, when recording is on and an input requires a gradient. */
function record(call: Call): void {
  if (!recording) return;
  const { op, inputs, outputs } = call;
  const edges: (Edge | undefined)[] = [];
  let needed = false;
  for (const { name, list, diff } of op.plan.inputs) {
    const value = inputs[name];
    for (const t of list ? (value as readonly Tensor[]) : [value as Tensor | undefined]) {
      const edge = diff && t !== undefined ? edgeOf(t) : undefined;
      edges.push(edge);
      if (edge !== undefined) needed = true;
    }
  }
  if (!needed || op.backward === undefined) return;
  const tracked = op.plan.outputs.filter((o) => o.diff && outputs[o.name] !== undefined);
  const results = tracked.map((o) => outputs[o.name] as Tensor);
  for (const edge of edges) {
    if (edge?.leaf !== undefined && results.includes(edge.leaf)) {
      throw new SecateurError(
        'ERR_ARGUMENT',
        `${op.name}: cannot overwrite a leaf that requires a gradient. Work on a copy, or inside noGrad(...).`,
        { op: op.name },
      );
    }
  }
  const overwritten = (t: Tensor): boolean => results.some((r) => r.cell === t.cell);
  const saved: Saved[] = [];
  const slotsOf: (number | readonly number[] | undefined)[] = [];
  for (const name of op.saves) {
    const value = inputs[name] ?? outputs[name];
    const isInput = inputs[name] !== undefined;
    if (value === undefined) slotsOf.push(undefined);
    else if (value instanceof Tensor) slotsOf.push(saved.push(save(value, isInput && overwritten(value))) - 1);
    else slotsOf.push(value.map((t) => saved.push(save(t, overwritten(t))) - 1));
  }
  new Node(
    op.name,
    edges,
    results,
    saved,
    applyOf(
      call,
      slotsOf,
      tracked.map((o) => o.name),
    ),
  );
}

function likeOf(t: Tensor): Like {
  return { shape: t.shape, dtype: t.dtype };
}

function applyOf(
  call: Call,
  slotsOf: readonly (number | readonly number[] | undefined)[],
  tracked: readonly string[],
): Apply {
  // Not the call itself: it holds the outputs, which must be free to go while the tape lives.
  const { op, inputs, attrs, scalars, random } = call;
  return (grads, held) => {
    const likes: Record<string, unknown> = {};
    const counts: number[] = [];
    for (const { name, list } of op.plan.inputs) {
      const value = inputs[name];
      likes[name] = list
        ? (value as readonly Tensor[]).map(likeOf)
        : value === undefined
          ? undefined
          : likeOf(value as Tensor);
      counts.push(list ? (value as readonly Tensor[]).length : 1);
    }
    const saved: Record<string, unknown> = {};
    op.saves.forEach((name, i) => {
      const slot = slotsOf[i];
      saved[name] = slot === undefined ? undefined : typeof slot === 'number' ? held[slot] : slot.map((s) => held[s]);
    });
    const byName: Record<string, Tensor> = {};
    tracked.forEach((name, i) => (byName[name] = grads[i] as Tensor));
    const thunks = (
      op as AnyOp & { backward: (c: unknown) => Record<string, Thunk | readonly Thunk[] | undefined> }
    ).backward({ saved, attrs, scalars, inputs: likes, grads: byName, random });
    return op.plan.inputs.flatMap(({ name, list, diff }, i) => {
      const thunk = diff ? thunks[name] : undefined;
      return list
        ? Array.from({ length: counts[i] as number }, (_, j) => (thunk as readonly Thunk[] | undefined)?.[j])
        : [thunk as Thunk | undefined];
    });
  };
}

export interface BackwardOptions {
  /** Upstream gradient; needed when the tensor has more than one element. */
  grad?: Tensor;
  /** Keep what was saved, so that `backward` can run again (default false). */
  retainGraph?: boolean;
  /** Called for each leaf after its last contribution. */
  onGradReady?: (leaf: Tensor) => void;
}

/**
 * Runs the tape backward from `root`: every leaf that requires a gradient and was used to compute `root` gets
 * `d root / d leaf` added to its `grad`. Saved tensors are freed as it proceeds.
 *
 * @throws ERR_NO_GRADIENT when nothing that led to `root` requires a gradient, ERR_GRAPH_FREED on a second run without
 * `retainGraph`, ERR_SAVED_MODIFIED when a saved tensor was overwritten
 */
export function backward(root: Tensor, options: BackwardOptions = {}): void {
  root.alive('backward');
  if (root.gradNode === undefined) {
    if (!root.requiresGrad) {
      throw new SecateurError(
        'ERR_NO_GRADIENT',
        'backward: nothing that led to this tensor requires a gradient. Set requiresGrad on a leaf, and compute outside noGrad(...).',
      );
    }
  }
  let seed = options.grad;
  if (seed === undefined) {
    if (root.size !== 1) {
      throw new SecateurError(
        'ERR_SHAPE_MISMATCH',
        `backward: the tensor has shape ${showShape(root.shape)}; needs one element, or the option grad.`,
        { shape: root.shape },
      );
    }
    seed = constant(root.shape, root.dtype, 1, root.device);
  } else if (!sameShape(seed.shape, root.shape)) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `backward: grad has shape ${showShape(seed.shape)}; needs ${showShape(root.shape)}.`,
    );
  }
  noGrad(() => runTape(root, seed, options));
}

function runTape(root: Tensor, seed: Tensor, options: BackwardOptions): void {
  const leaves = new Map<Tensor, number>();
  const uses = countUses(root, leaves);
  const ready: Node[] = [];
  const node = root.gradNode as Node | undefined;
  if (node === undefined) {
    intoLeaf(root, () => seed.share());
    options.onGradReady?.(root);
    return;
  }
  // Until it has run, a node lives although the tensors it made are gone and the nodes that used them are freed.
  const held = [...uses.keys()];
  for (const other of held) other.refs++;
  try {
    node.grads[root.gradIndex] = seed.share();
    ready.push(node);
    for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
      const edges = next.edges;
      step(next, edges, (leaf) => {
        const left = (leaves.get(leaf) as number) - 1;
        leaves.set(leaf, left);
        if (left === 0) options.onGradReady?.(leaf);
      });
      for (const edge of edges) {
        if (edge?.node === undefined) continue;
        const left = (uses.get(edge.node) as number) - 1;
        uses.set(edge.node, left);
        if (left === 0) ready.push(edge.node);
      }
      if (options.retainGraph !== true) next.free();
    }
  } finally {
    for (const other of held) other.release();
  }
}

/** How many edges lead to each node and leaf from `root`: a node is ready when all of them have brought their gradient. */
function countUses(root: Tensor, leaves: Map<Tensor, number>): Map<Node, number> {
  const uses = new Map<Node, number>();
  const stack: Node[] = root.gradNode === undefined ? [] : [root.gradNode as Node];
  const seen = new Set<Node>(stack);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.freed) {
      throw new SecateurError(
        'ERR_GRAPH_FREED',
        `backward: what ${node.name} had saved was freed by an earlier backward. Compute again, or pass retainGraph: true the first time.`,
        { op: node.name },
      );
    }
    for (const edge of node.edges) {
      if (edge?.leaf !== undefined) leaves.set(edge.leaf, (leaves.get(edge.leaf) ?? 0) + 1);
      if (edge?.node === undefined) continue;
      uses.set(edge.node, (uses.get(edge.node) ?? 0) + 1);
      if (!seen.has(edge.node)) {
        seen.add(edge.node);
        stack.push(edge.node);
      }
    }
  }
  return uses;
}

/** Runs one node: its outputs' gradients in, its inputs' gradients on to where they go. */
function step(node: Node, edges: readonly (Edge | undefined)[], leafDone: (leaf: Tensor) => void): void {
  for (const { tensor: t, version } of node.saved) {
    if (t.cell.stamp.version !== version) {
      throw new SecateurError(
        'ERR_SAVED_MODIFIED',
        `backward of ${node.name}: a tensor of shape ${showShape(t.shape)} that it saved was overwritten by ${t.cell.stamp.writer}. Do not write in place to what a gradient needs.`,
        { op: node.name, writer: t.cell.stamp.writer },
      );
    }
  }
  const made: Tensor[] = [];
  const outer = swapOwner(made);
  try {
    if (node.grads.every((g) => g === undefined)) {
      for (const edge of edges) if (edge?.leaf !== undefined) leafDone(edge.leaf);
      return;
    }
    const like = node.grads.find((g) => g !== undefined) as Tensor;
    const grads = node.outputs.map((o, i) => node.grads[i] ?? zerosLike(o, like));
    const thunks = node.apply(
      grads,
      node.saved.map((s) => s.tensor),
    );
    edges.forEach((edge, i) => {
      if (edge === undefined) return;
      const thunk = thunks[i];
      if (thunk === undefined) {
        throw new SecateurError(
          'ERR_NO_GRADIENT',
          `backward of ${node.name}: it has no gradient for its input number ${i}.`,
          { op: node.name },
        );
      }
      if (edge.leaf !== undefined) {
        intoLeaf(edge.leaf, thunk);
        leafDone(edge.leaf);
      } else if (edge.node !== undefined) deliver(edge.node, edge.index, thunk({}), node.name);
    });
  } finally {
    swapOwner(outer);
    for (const g of node.grads) g?.dispose();
    node.grads = [];
    for (const t of made) t.dispose();
  }
}

function zerosLike({ shape, dtype }: Like, on: Tensor): Tensor {
  return constant(shape, dtype, 0, on.device);
}

/** Whether a gradient may be added to in place: nobody else sees its storage. */
function exclusive(t: Tensor): boolean {
  return t.cell.refs === 1 && !t.cell.stamp.viewed;
}

// Shares stay out of scopes: the node that receives a gradient disposes it.
function deliver(node: Node, index: number, grad: Tensor, from: string): void {
  const like = node.outputs[index] as Like;
  if (!sameShape(grad.shape, like.shape) || grad.dtype !== like.dtype) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `backward of ${from}: gave a gradient ${grad.dtype} ${showShape(grad.shape)} for an input ${like.dtype} ${showShape(like.shape)}.`,
      { op: from },
    );
  }
  const before = node.grads[index];
  if (before === undefined) node.grads[index] = grad.share();
  else if (exclusive(before)) add_(before, grad);
  else {
    node.grads[index] = add(before, grad).share();
    before.dispose();
  }
}

function intoLeaf(leaf: Tensor, thunk: Thunk): void {
  const slot = leaf.gradSlot;
  const before = leaf.grad;
  if (slot !== undefined) {
    const to: Into = { into: slot, accumulate: before !== undefined };
    const result = thunk(to);
    if (result !== slot) {
      if (before === undefined) run(broadcastToOp, { x: result }, { shape: slot.shape }, { into: slot });
      else add_(slot, result);
    }
    leaf.grad = slot;
    return;
  }
  const result = thunk({});
  if (!sameShape(result.shape, leaf.shape) || result.dtype !== leaf.dtype) {
    throw new SecateurError(
      'ERR_SHAPE_MISMATCH',
      `backward: a gradient ${result.dtype} ${showShape(result.shape)} came for a leaf ${leaf.dtype} ${showShape(leaf.shape)}.`,
    );
  }
  if (before === undefined) leaf.grad = owned(result);
  else if (exclusive(before)) add_(before, result);
  else {
    leaf.grad = owned(add(before, result));
    before.dispose();
  }
}

/** A gradient belongs to its leaf, not to a scope. One that is a view or shared is copied by the first addition to it. */
function owned(grad: Tensor): Tensor {
  const mine = grad.share();
  mine.requiresGrad = false;
  ownAlone(mine);
  return mine;
}

slots.record = record;
slots.wouldRecord = (inputs) => recording && inputs.some((t) => t?.requiresGrad === true);
slots.add = (into, term) => void noGrad(() => add_(into, term));
