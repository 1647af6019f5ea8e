// Every op's bench case, and the figures the pruning kernels promise. Each measurement stands beside a copy of the
// same run: the machine's speed drifts, their ratio does not.
import { noGrad } from '../lib/autograd/tape.js';
import { tensor } from '../lib/core/create.js';
import { type costOf, countOperations } from '../lib/core/cost.js';
import { isFloat } from '../lib/core/dtype.js';
import { scope } from '../lib/core/lifetime.js';
import { memory, synchronize } from '../lib/core/memory.js';
import { run, runAny } from '../lib/core/run.js';
import type { Shape } from '../lib/core/shape.js';
import type { Tensor } from '../lib/core/tensor.js';
import type { AnyOp, OpCase } from '../lib/core/op.js';
import { copy_, randn, zeros, threshold, thresholdRow, pdpWeight, matmul, exp } from '../lib/index.js';
import { pdpWeightGradOp } from '../lib/ops/pdpWeight.js';
import { type CaseData, caseInputs, loadStems } from '../test/ops/specs.js';
import { interleave } from './interleave.js';
import { layoutRows } from './layouts.js';
import { type Row, median } from './row.js';

interface Limits {
  copy: () => void;
  copyBytes: number;
  gemm: () => void;
  gemmFlops: number;
}

function limits(): Limits {
  const n = 10_000_000;
  const from = randn([n]);
  const into = zeros([n]);
  const a = randn([1024, 1024]);
  const b = randn([1024, 1024]);
  return {
    copy: () => void copy_(into, from),
    copyBytes: 8 * n,
    gemm: () => void matmul(a, b),
    gemmFlops: 2 * 1024 ** 3,
  };
}

const absent = {
  peer: null,
  peerMs: null,
  ratio: null,
  peakBytes: null,
  peerPeakBytes: null,
  batch: null,
  reorders: null,
} as const;

function opRow(op: AnyOp, one: OpCase, dtype: 'f32' | 'bf16' | 'i32', limit: Limits, rounds: number): Row {
  const inputs: Record<string, Tensor | Tensor[] | undefined> = {};
  const place = (d: CaseData): Tensor => tensor(d.values, { dtype: d.dtype, shape: d.shape });
  for (const [name, d] of Object.entries(caseInputs(op, one, dtype, 1)))
    inputs[name] = d === undefined ? undefined : Array.isArray(d) ? d.map(place) : place(d);
  const call = (): void =>
    void runAny(op, inputs, (one.attrs ?? {}) as Record<string, unknown>, { scalars: (one.scalars ?? {}) as never });
  const cost = scope(() => noGrad(() => countOperations(call).costs[0])) as ReturnType<typeof costOf>;
  const before = memory.stats().reorders;
  const [ms, copyMs, gemmMs] = interleave(rounds, [call, limit.copy, limit.gemm]) as [number, number, number];
  const reorders = (memory.stats().reorders - before) / (rounds + 2);
  const gbs = limit.copyBytes / copyMs / 1e6;
  const gflops = limit.gemmFlops / gemmMs / 1e6;
  const bytesShare = cost.bytes / ms / 1e6 / gbs;
  const flopsShare = cost.flops / ms / 1e6 / gflops;
  const compute = flopsShare > bytesShare;
  for (const t of Object.values(inputs).flat()) t?.dispose();
  return {
    bench: 'ops',
    name: op.name,
    dtype,
    mode: shapesOf(one),
    ms,
    unit: compute ? 'GFLOP/s' : 'GB/s',
    value: compute ? cost.flops / ms / 1e6 : cost.bytes / ms / 1e6,
    limit: compute ? gflops : gbs,
    share: compute ? flopsShare : bytesShare,
    ...absent,
    reorders,
  };
}

function shapesOf(one: OpCase): string {
  return Object.values(one.inputs)
    .map((i) =>
      i === undefined
        ? ''
        : Array.isArray(i) && typeof i[0] === 'number'
          ? i.join('x')
          : 'shape' in i
            ? (i as { shape: Shape }).shape.join('x')
            : `${(i as readonly unknown[]).length} tensors`,
    )
    .filter((s) => s !== '')
    .join(' ');
}

/** Thresholds and masks over 10^7 weights against a copy of as many floats, in the same rounds. */
function* pruningRows(limit: Limits, rounds: number): Generator<Row> {
  const n = 10_000_000;
  const w = randn([n]);
  const state = zeros([1, 2], { dtype: 'i32' });
  const k = [Math.floor(n * 0.9)];
  const found = threshold([w], k, state);
  const row = thresholdRow(found, 0);
  const g = randn([n]);
  const rows: [string, number, number][] = [];
  const backward = { w, g, levels: found.levels, counts: found.counts };
  const [copyMs, warm, mask, low, grad] = interleave(rounds, [
    limit.copy,
    () => void threshold([w], k, state),
    () => void pdpWeight(w, row, { tau: 1e-4 }),
    () => void pdpWeight(w, row, { tau: 1e-4, dtype: 'bf16' }),
    () => void run(pdpWeightGradOp, backward, { throughThreshold: false }, { scalars: { layer: 0, tau: 1e-4 } }),
  ]) as [number, number, number, number, number];
  rows.push(
    ['threshold warm', warm, 4 * n],
    ['pdpWeight forward', mask, 8 * n],
    ['pdpWeight forward to bf16', low, 6 * n],
    ['pdpWeight backward', grad, 12 * n],
  );
  const limitGbs = limit.copyBytes / copyMs / 1e6;
  for (const [name, ms, bytes] of rows) {
    yield {
      bench: 'ops',
      name,
      dtype: 'f32',
      mode: `10^7, ${(ms / copyMs).toFixed(2)} x the copy's time`,
      ms,
      unit: 'GB/s',
      value: bytes / ms / 1e6,
      limit: limitGbs,
      share: bytes / ms / 1e6 / limitGbs,
      ...absent,
    };
  }
  for (const t of [w, state, found.levels, found.counts, g]) t.dispose();
}

/** What one op costs the JavaScript thread: 16 elements, recorded, in a scope, released. */
function callRow(rounds: number): Row {
  const x = tensor(new Float32Array(16).fill(0.5), { requiresGrad: true });
  const calls = 2000;
  const times: number[] = [];
  for (let r = -5; r < rounds; r++) {
    const start = performance.now();
    for (let i = 0; i < calls; i += 100) {
      scope(() => {
        for (let j = 0; j < 100; j++) exp(x);
      });
    }
    const ms = performance.now() - start;
    synchronize();
    if (r >= 0) times.push(ms / calls);
  }
  const ms = median(times);
  x.dispose();
  return {
    bench: 'ops',
    name: 'one call from JavaScript',
    dtype: 'f32',
    mode: '16 elements, tape and scope',
    ms,
    unit: 'us',
    value: ms * 1000,
    limit: null,
    share: null,
    ...absent,
  };
}

export async function* benchOps(filter: string, rounds: number): AsyncGenerator<Row> {
  const limit = limits();
  if ('one call from JavaScript'.includes(filter)) yield callRow(rounds);
  yield* layoutRows(filter, rounds);
  for (const row of pruningRows(limit, rounds)) if (row.name.includes(filter)) yield row;
  for (const { ops } of await loadStems()) {
    for (const op of ops) {
      if (!op.name.includes(filter)) continue;
      for (const one of op.cases.filter((c) => c.bench === true)) {
        for (const dtype of one.dtypes ?? op.plan.types) {
          if (isFloat(dtype) || dtype === 'i32') yield opRow(op, one, dtype, limit, rounds);
        }
      }
    }
  }
}
