// Golden traces of PDP: whole training runs of the toy problem through the trainer.
import { z } from 'zod';
import type { Tensor } from '../../lib/core/tensor.js';
import { mul, nmHardMask, nmSoftWeight, reshape } from '../../lib/index.js';
import type { Context, Pruner, PrunerEvent, Site, State } from '../../lib/train/index.js';
import { PDP } from '../../src/pdp/index.js';
import type { Comparison } from './comparison.js';
import { type Part, part } from './part.js';
import { compareTrace, sgdSettings } from './toy.js';

const pdpSettings = z.object({
  ...sgdSettings,
  warmup_epochs: z.number(),
  eps: z.number().positive(),
  first: z.union([z.literal(0), z.literal(1)]),
  r: z.number(),
  tau: z.number(),
  through_threshold: z.boolean().default(false),
});

/** PDP as it is, noting the ratios it uses. */
class ObservedPdp extends PDP {
  readonly used: number[] = [];
  layerRatios: number[] = [];

  override on(event: PrunerEvent, context: Context): void {
    super.on(event, context);
    if (event !== 'step') return;
    const { sites, clock } = context;
    if (clock.phase !== 'prune') return void this.used.push(...sites.map(() => 0));
    this.used.push(...this.ratios(sites, clock));
    const pruned = this.state.json['pruned'] as readonly number[];
    this.layerRatios = sites.map(({ weight }, i) => (pruned[i] as number) / weight.size);
  }
}

async function trace(c: Comparison): Promise<void> {
  const s = c.file.section('trace', pdpSettings);
  const pruner = new ObservedPdp({
    sparsity: s.r,
    tau: s.tau,
    unit: 'epoch',
    warmup: s.warmup_epochs,
    epsilon: s.eps,
    first: s.first,
    maxLayerSparsity: Infinity,
    throughThreshold: s.through_threshold,
  });
  // The method refuses a run that ends on its ramp; a trace may stop there.
  await compareTrace(c, 'trace', s, pruner, s.warmup_epochs + Math.ceil(1 / s.eps) + 2);
  c.close('trace/ratio', pruner.used);
  c.equal('trace/layer_ratio', pruner.layerRatios);
}

const nmSettings = z.object({
  ...sgdSettings,
  warmup_epochs: z.number(),
  N: z.number(),
  M: z.number(),
  tau: z.number(),
});

/** Soft N:M masks in every forward pass after the warm-up, the hard mask at the end. */
class NmTrace implements Pruner {
  readonly name = 'nm';
  readonly state: State = { tensors: new Map(), json: {} };
  readonly #settings: z.infer<typeof nmSettings>;
  #masking = false;

  constructor(settings: z.infer<typeof nmSettings>) {
    this.#settings = settings;
  }

  on(event: PrunerEvent, { clock }: Context): void {
    if (event === 'step') this.#masking = clock.epoch >= this.#settings.warmup_epochs;
  }

  weight(_: Site, w: Tensor): Tensor {
    const { N: n, M: m, tau } = this.#settings;
    return this.#masking ? reshape(nmSoftWeight(reshape(w, [-1, m]), { n, m, tau }), w.shape) : w;
  }

  finish({ weight }: Site): Tensor {
    const { N: n, M: m } = this.#settings;
    return mul(weight, reshape(nmHardMask(reshape(weight, [-1, m]), { n, m }), weight.shape));
  }
}

async function traceNm(c: Comparison): Promise<void> {
  const settings = c.file.section('trace_nm', nmSettings);
  await compareTrace(c, 'trace_nm', settings, new NmTrace(settings));
}

export const traceParts: readonly Part[] = [part('trace', trace), part('trace_nm', traceNm)];
