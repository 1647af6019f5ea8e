// What the tape is made of: one node a recorded call, edges to where its gradients go, and what it saved.
import type { Like, Thunk } from '../core/op.js';
import { type GradNode, type Tensor, inScope } from '../core/tensor.js';

/** Where the gradient of an input goes: to the node that made it, or into a leaf. */
export interface Edge {
  node?: Node;
  index: number;
  leaf?: Tensor;
}

export interface Saved {
  tensor: Tensor;
  version: number;
}

/** The gradients of a node's inputs, in the order of its edges; undefined where there is none to be had. */
export type Apply = (grads: readonly Tensor[], saved: readonly Tensor[]) => readonly (Thunk | undefined)[];

// A tape made outside every scope, that nobody runs backward and nobody disposes, gives up what it saved when it is
// collected. Inside a scope the tensors are disposed, or returned, and take the node with them.
const backstop = new FinalizationRegistry<Saved[]>((saved) => {
  for (const s of saved) s.tensor.dispose();
});

/** One recorded call. Kept alive by the tensors it made and by the nodes that used them. */
export class Node implements GradNode {
  refs = 0;
  freed = false;
  readonly name: string;
  readonly edges: readonly (Edge | undefined)[];
  readonly outputs: readonly Like[];
  readonly saved: Saved[];
  readonly apply: Apply;
  /** Gradients that have arrived, by output. */
  grads: (Tensor | undefined)[] = [];
  readonly #watched: boolean = false;

  constructor(
    name: string,
    edges: readonly (Edge | undefined)[],
    outputs: readonly Tensor[],
    saved: Saved[],
    apply: Apply,
  ) {
    this.name = name;
    this.edges = edges;
    this.outputs = outputs.map(({ shape, dtype }) => ({ shape, dtype }));
    this.saved = saved;
    this.apply = apply;
    for (const edge of edges) if (edge?.node !== undefined) edge.node.refs++;
    if (saved.length > 0 && !inScope()) {
      this.#watched = true;
      backstop.register(this, saved, this);
    }
    outputs.forEach((t, i) => {
      // An output written in place leaves the node that made it before; this node's own edge keeps that one alive.
      t.gradNode?.release();
      t.gradNode = this;
      t.gradIndex = i;
      t.requiresGrad = true;
      this.refs++;
    });
  }

  release(): void {
    if (--this.refs === 0) this.free();
  }

  /** Drops what was saved, and whatever upstream only this node held. Iterative: tapes get long. */
  free(): void {
    const stack: Node[] = [this];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node.freed) continue;
      node.freed = true;
      if (node.#watched) backstop.unregister(node);
      for (const s of node.saved) s.tensor.dispose();
      node.saved.length = 0;
      for (const edge of node.edges) if (edge?.node !== undefined && --edge.node.refs === 0) stack.push(edge.node);
    }
  }
}

/** Where the gradient of a tensor goes, if it wants one. */
export function edgeOf(t: Tensor): Edge | undefined {
  if (!t.requiresGrad) return undefined;
  if (t.gradNode !== undefined) return { node: t.gradNode as Node, index: t.gradIndex };
  return { leaf: t, index: 0 };
}

/** Holds a tensor for backward, with the version it has (or had before this very call overwrote it). */
export function save(t: Tensor, stale: boolean): Saved {
  return { tensor: t.share(), version: t.cell.stamp.version - (stale ? 1 : 0) };
}
