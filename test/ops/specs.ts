// The op declarations, read from the folder: a new op is tested because it is there.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { uniforms } from '../../lib/core/random.js';
import { type DType, isFloat, roundTo } from '../../lib/core/dtype.js';
import type { AnyOp, CaseInput, CaseTensor, OpCase } from '../../lib/core/op.js';
import { sizeOf } from '../../lib/core/shape.js';

export interface Stem {
  stem: string;
  ops: AnyOp[];
}

export async function loadStems(): Promise<Stem[]> {
  const folder = join(dirname(fileURLToPath(import.meta.url)), '../../lib/ops');
  const stems: Stem[] = [];
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.js') && f !== 'index.js')) {
    const module = (await import(join(folder, file))) as Record<string, unknown>;
    const ops = Object.entries(module).filter(([name]) => name.endsWith('Op'));
    if (ops.length > 0) stems.push({ stem: file.slice(0, -3), ops: ops.map(([, op]) => op as AnyOp) });
  }
  return stems;
}

export interface CaseData {
  values: Float64Array;
  shape: readonly number[];
  dtype: DType;
}

/** Fills one input of a case. `T` is the dtype that the case runs in; values are such that it can hold them. */
export function fill(input: CaseTensor, dtype: DType, random: Iterator<number>): CaseData {
  const spec: CaseInput = Array.isArray(input) ? { shape: input as readonly number[] } : (input as CaseInput);
  const type = spec.dtype ?? dtype;
  const n = sizeOf(spec.shape);
  const uniform = (): number => random.next().value as number;
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const values = new Float64Array(n);
  const order = Array.from({ length: n }, (_, i) => i);
  if (spec.draw === 'distinct') {
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
  }
  for (let i = 0; i < n; i++) {
    let x: number;
    if (spec.values !== undefined) x = spec.values[i % spec.values.length] as number;
    else if (spec.draw === 'positive') x = 0.1 + 1.9 * uniform();
    else if (spec.draw === 'unit') x = 1.8 * uniform() - 0.9;
    else if (spec.draw === 'uniform01') x = uniform();
    else if (spec.draw === 'distinct') x = ((order[i] as number) - n / 2) / 8 + 1 / 16;
    else if (spec.draw === 'index') x = Math.floor(uniform() * (spec.below ?? 2));
    else if (spec.draw === 'away') {
      x = normal();
      x += x < 0 ? -0.1 : 0.1;
    } else x = normal();
    if (!isFloat(type) && spec.values === undefined && spec.draw !== 'index')
      x = type === 'u8' ? Math.floor(uniform() * 2) : Math.round(x * 3);
    values[i] = roundTo(type, x);
  }
  return { values, shape: spec.shape, dtype: type };
}

/** All inputs of a case, by name; lists stay lists. */
export function caseInputs(
  op: AnyOp,
  one: OpCase,
  T: DType,
  seed: number,
): Record<string, CaseData | CaseData[] | undefined> {
  const random = uniforms({ seed, position: 0 });
  const out: Record<string, CaseData | CaseData[] | undefined> = {};
  for (const { name, list, type } of op.plan.inputs) {
    const input = one.inputs[name];
    const dtype = type === 'T' || type === 'any' ? T : type;
    if (input === undefined) out[name] = undefined;
    else if (list) out[name] = (input as readonly CaseTensor[]).map((i) => fill(i, dtype, random));
    else out[name] = fill(input as CaseTensor, dtype, random);
  }
  return out;
}
