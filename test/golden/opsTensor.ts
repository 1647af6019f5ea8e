// Golden operators from tensors to tensors: value and gradients for an upstream gradient `g`.
import { z } from 'zod';
import type { Tensor } from '../../lib/core/tensor.js';
import {
  adaptiveAvgPool2d,
  avgPool2d,
  batchNorm,
  conv2d,
  embedding,
  gelu,
  layerNorm,
  logSoftmax,
  maxPool2d,
  scaledDotProductAttention,
  softmax,
} from '../../lib/index.js';
import type { Comparison, Reorder } from './comparison.js';
import { channelsLast, channelsSecond } from './goldenFile.js';
import { type Part, part } from './part.js';

const size = z.union([z.number(), z.tuple([z.number(), z.number()])]);
const asIs: Reorder = (a) => a;

/** Runs backward from `y` with the upstream gradient of the case and compares `y` and the gradients of the leaves. */
function compare(c: Comparison, key: string, y: Tensor, leaves: Record<string, Tensor>, images = false): void {
  const [inward, outward] = images ? [channelsLast, channelsSecond] : [asIs, asIs];
  y.backward({ grad: c.input(`${key}/g`, inward) });
  c.tensor(`${key}/y`, y, outward);
  for (const [name, leaf] of Object.entries(leaves)) c.tensor(`${key}/d${name}`, leaf.grad, outward);
}

function conv(c: Comparison): void {
  const settings = { stride: size, padding: size, dilation: size, groups: z.number(), bias: z.boolean() };
  for (const { key, bias, ...options } of c.file.cases('conv2d', settings)) {
    const x = c.leaf(`${key}/x`, channelsLast);
    const w = c.leaf(`${key}/w`, channelsLast);
    const b = bias ? c.leaf(`${key}/b`) : undefined;
    const { stride, padding, dilation, groups } = options;
    compare(c, key, conv2d(x, w, b, { stride, padding, dilation, groups }), { x, w, ...(b && { b }) }, true);
  }
}

function batchNormalisation(c: Comparison): void {
  const settings = { train: z.boolean(), momentum: z.number(), eps: z.number() };
  for (const { key, train, momentum, eps } of c.file.cases('batch_norm', settings)) {
    const x = c.leaf(`${key}/x`, channelsLast);
    const [gamma, beta] = [c.leaf(`${key}/gamma`), c.leaf(`${key}/beta`)];
    const mean = c.input(`${key}/running_mean`);
    const variance = c.input(`${key}/running_var`);
    const y = batchNorm(x, gamma, beta, mean, variance, { training: train, momentum, eps });
    compare(c, key, y, { x, gamma, beta }, true);
    c.tensor(`${key}/new_running_mean`, mean);
    c.tensor(`${key}/new_running_var`, variance);
  }
}

function layerNormalisation(c: Comparison): void {
  for (const { key, eps } of c.file.cases('layer_norm', { eps: z.number() })) {
    const [x, gamma, beta] = [c.leaf(`${key}/x`), c.leaf(`${key}/gamma`), c.leaf(`${key}/beta`)];
    compare(c, key, layerNorm(x, gamma, beta, { eps }), { x, gamma, beta });
  }
}

function geluForms(c: Comparison): void {
  for (const { key, approximate } of c.file.cases('gelu', { approximate: z.enum(['none', 'tanh']) })) {
    const x = c.leaf(`${key}/x`);
    compare(c, key, gelu(x, { approximate }), { x });
  }
}

function softmaxForms(c: Comparison): void {
  for (const { key, axis, log } of c.file.cases('softmax', { axis: z.number(), log: z.boolean() })) {
    const x = c.leaf(`${key}/x`);
    compare(c, key, log ? logSoftmax(x, axis) : softmax(x, axis), { x });
  }
}

const windowSettings = { kernel: size, stride: size, padding: size, ceil: z.boolean() };
const poolSettings = z.discriminatedUnion('kind', [
  z.object({ key: z.string(), kind: z.literal('max'), ...windowSettings }),
  z.object({ key: z.string(), kind: z.literal('avg'), ...windowSettings, count_include_pad: z.boolean() }),
  z.object({ key: z.string(), kind: z.literal('adaptiveAvg'), out: size }),
]);

function pooled(x: Tensor, settings: z.infer<typeof poolSettings>): Tensor {
  if (settings.kind === 'adaptiveAvg') return adaptiveAvgPool2d(x, settings.out);
  const { kernel, stride, padding, ceil: ceilMode } = settings;
  if (settings.kind === 'max') return maxPool2d(x, kernel, { stride, padding, ceilMode });
  return avgPool2d(x, kernel, { stride, padding, ceilMode, countIncludePad: settings.count_include_pad });
}

function pools(c: Comparison): void {
  for (const settings of c.file.section('pool', z.object({ cases: z.array(poolSettings) })).cases) {
    const x = c.leaf(`${settings.key}/x`, channelsLast);
    compare(c, settings.key, pooled(x, settings), { x }, true);
  }
}

function embeddings(c: Comparison): void {
  for (const { key } of c.file.cases('embedding', {})) {
    const w = c.leaf(`${key}/w`);
    compare(c, key, embedding(w, c.whole(`${key}/ids`)), { w });
  }
}

function attention(c: Comparison): void {
  const settings = { causal: z.boolean(), masked: z.boolean(), scale: z.number().nullable() };
  for (const { key, causal, masked, scale } of c.file.cases('attention', settings)) {
    const [q, k, v] = [c.leaf(`${key}/q`), c.leaf(`${key}/k`), c.leaf(`${key}/v`)];
    const y = scaledDotProductAttention(q, k, v, {
      causal,
      ...(masked && { keyMask: c.whole(`${key}/key_mask`, 'u8') }),
      ...(scale !== null && { scale }),
    });
    compare(c, key, y, { q, k, v });
  }
}

export const tensorParts: readonly Part[] = [
  part('conv2d', conv),
  part('batch_norm', batchNormalisation),
  part('layer_norm', layerNormalisation),
  part('gelu', geluForms),
  part('softmax', softmaxForms),
  part('pool', pools),
  part('embedding', embeddings),
  part('attention', attention),
];
