// Every op, from its declaration: the kernel against `reference`, `backward` against finite differences of the
// reference, the kernel's gradients against the reference's, and what must be refused.
import t, { type Test } from 'tap';
import { tensor } from '../lib/core/create.js';
import type { Device } from '../lib/core/device.js';
import { type DType, isFloat } from '../lib/core/dtype.js';
import { SecateurError } from '../lib/core/errors.js';
import { scope } from '../lib/core/lifetime.js';
import { native } from '../lib/core/native.js';
import type { AnyOp, OpCase } from '../lib/core/op.js';
import type { AnyInputs } from '../lib/core/checkInputs.js';
import { onDevice, runAny } from '../lib/core/run.js';
import type { Tensor } from '../lib/core/tensor.js';
import { backward } from '../lib/autograd/tape.js';
import { sumTo } from '../lib/ops/broadcast.js';
import { add, mul } from '../lib/ops/binary.js';
import '../lib/tensor.js';
import { type CaseData, caseInputs, fill, loadStems } from './ops/specs.js';
import { uniforms } from '../lib/core/random.js';

const device = (process.env['SECATEUR_TEST_DEVICE'] ?? 'cpu') as Device;
const random = { seed: 7, position: 0 };

function place(
  data: Record<string, CaseData | CaseData[] | undefined>,
  on: Device,
  op: AnyOp,
  grads: boolean,
): AnyInputs {
  const out: Record<string, Tensor | Tensor[] | undefined> = {};
  for (const { name, diff } of op.plan.inputs) {
    const make = (d: CaseData): Tensor =>
      tensor(d.values, { dtype: d.dtype, shape: d.shape, device: on, requiresGrad: grads && diff && isFloat(d.dtype) });
    const value = data[name];
    out[name] = value === undefined ? undefined : Array.isArray(value) ? value.map(make) : make(value);
  }
  return out;
}

/** `on` matters to ops without inputs: the rest run where their inputs are. */
function call(op: AnyOp, one: OpCase, inputs: AnyInputs, on: Device): Record<string, Tensor | undefined> {
  const attrs = (one.attrs ?? {}) as Record<string, unknown>;
  return onDevice(on, () => runAny(op, inputs, attrs, { scalars: (one.scalars ?? {}) as never, random }));
}

/** A fixed random weighting of all gradient-carrying outputs: one scalar that depends on everything. */
function weighted(op: AnyOp, outputs: Record<string, Tensor | undefined>): Tensor | undefined {
  const draw = uniforms({ seed: 99, position: 0 });
  let total: Tensor | undefined;
  for (const { name, diff } of op.plan.outputs) {
    const y = outputs[name];
    if (!diff || y === undefined || !isFloat(y.dtype)) continue;
    const w = fill(y.shape, 'f32', draw);
    // Weights of a few bits, so that bf16 holds them.
    const weights = tensor(
      w.values.map((x) => Math.round(x * 4) / 4),
      { shape: y.shape, dtype: y.dtype, device: y.device },
    );
    const term = sumTo(mul(y, weights), []);
    total = total === undefined ? term : add(total, term);
  }
  return total;
}

/** Largest difference relative to the largest value; NaN and infinities must agree exactly. */
function difference(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let scale = 0;
  for (let i = 0; i < y.length; i++) if (Number.isFinite(y[i])) scale = Math.max(scale, Math.abs(y[i] as number));
  let worst = x.length === y.length ? 0 : Infinity;
  for (let i = 0; i < y.length; i++) {
    const a = x[i] as number;
    const b = y[i] as number;
    if (Number.isNaN(a) && Number.isNaN(b)) continue;
    if (a === b) continue;
    const d = Math.abs(a - b) / (scale === 0 ? 1 : scale);
    worst = Math.max(worst, Number.isNaN(d) ? Infinity : d);
  }
  return worst;
}

function tensorsOf(inputs: AnyInputs): [string, Tensor][] {
  return Object.entries(inputs).flatMap(([name, v]) =>
    v === undefined
      ? []
      : Array.isArray(v)
        ? (v as Tensor[]).map((x, i): [string, Tensor] => [`${name}[${i}]`, x])
        : [[name, v as Tensor] as [string, Tensor]],
  );
}

const tolerances: Record<string, number> = { f32: 1e-5, bf16: 1e-2 };

function tolerance(op: AnyOp, dtype: DType): number {
  if (!isFloat(dtype)) return 0;
  return op.tolerance?.[dtype] ?? (tolerances[dtype] as number);
}

function caseName(one: OpCase): string {
  return one.name ?? `${JSON.stringify(one.inputs)} ${JSON.stringify(one.attrs ?? {})}`.slice(0, 140);
}

function checkValues(t: Test, op: AnyOp, one: OpCase, dtype: DType, seed: number): void {
  scope(() => {
    const data = caseInputs(op, one, dtype, seed);
    const onRef = place(data, 'ref', op, false);
    const placed = place(data, device, op, false);
    const expected = call(op, one, onRef, 'ref');
    const got = call(op, one, placed, device);
    const pairs: [string, Tensor | undefined, Tensor | undefined][] = op.plan.outputs.map((o) => [
      o.name,
      got[o.name],
      expected[o.name],
    ]);
    const refInputs = new Map(tensorsOf(onRef));
    for (const [name, y] of Object.entries(got)) t.equal(y?.device ?? device, device, `${name} is on the device`);
    for (const [name, x] of tensorsOf(placed)) pairs.push([name, x, refInputs.get(name)]);
    for (const [name, x, y] of pairs) {
      if (x === undefined || y === undefined) {
        t.equal(x, y, `${name} absent on both`);
        continue;
      }
      t.strictSame(x.shape, y.shape, `${name} shape`);
      t.equal(x.dtype, y.dtype, `${name} dtype`);
      const d = difference(x.doubles(), y.doubles());
      t.ok(d <= tolerance(op, x.dtype), `${name}: difference ${d.toExponential(2)}, allowed ${tolerance(op, x.dtype)}`);
    }
  });
}

function gradients(op: AnyOp, one: OpCase, dtype: DType, on: Device, seed: number): Map<string, Float64Array> {
  const found = new Map<string, Float64Array>();
  scope(() => {
    const inputs = place(caseInputs(op, one, dtype, seed), on, op, true);
    const total = weighted(op, call(op, one, inputs, on));
    if (total === undefined) return;
    backward(total);
    for (const [name, x] of tensorsOf(inputs)) {
      if (!x.requiresGrad) continue;
      found.set(name, x.grad === undefined ? new Float64Array(x.size) : x.grad.doubles());
      x.grad?.dispose();
    }
  });
  return found;
}

/** Central differences of the reference, for up to 40 entries of each input. */
function checkGradients(t: Test, op: AnyOp, one: OpCase, seed: number): void {
  const analytic = gradients(op, one, 'f32', 'ref', seed);
  const data = caseInputs(op, one, 'f32', seed);
  const flat = new Map<string, CaseData>(
    Object.entries(data).flatMap(([name, v]) =>
      v === undefined
        ? []
        : Array.isArray(v)
          ? v.map((x, i): [string, CaseData] => [`${name}[${i}]`, x])
          : [[name, v] as [string, CaseData]],
    ),
  );
  const value = (): number =>
    scope(() => {
      const total = weighted(op, call(op, one, place(data, 'ref', op, false), 'ref'));
      return total === undefined ? 0 : total.item();
    });
  for (const [name, g] of analytic) {
    const x = flat.get(name) as CaseData;
    const stride = Math.max(1, Math.floor(g.length / 40));
    const scale = Math.max(1, ...g.map(Math.abs));
    let worst = 0;
    for (let i = 0; i < g.length; i += stride) {
      const h = 1e-5;
      const at = x.values[i] as number;
      x.values[i] = at + h;
      const up = value();
      x.values[i] = at - h;
      const down = value();
      x.values[i] = at;
      worst = Math.max(worst, Math.abs((up - down) / (2 * h) - (g[i] as number)) / scale);
    }
    t.ok(worst < 1e-6, `d/d${name} against finite differences: ${worst.toExponential(2)}`);
  }
  for (const dtype of ['f32', 'bf16'] as const) {
    if (!op.plan.types.includes(dtype) || (one.dtypes !== undefined && !one.dtypes.includes(dtype))) continue;
    const expected = gradients(op, one, dtype, 'ref', seed);
    const got = gradients(op, one, dtype, device, seed);
    for (const [name, g] of expected) {
      const d = difference(got.get(name) ?? [], g);
      t.ok(d <= 4 * tolerance(op, dtype), `d/d${name} in ${dtype}: difference ${d.toExponential(2)}`);
    }
  }
}

const only = process.env['SECATEUR_TEST_OPS']?.split(',');
const stems = (await loadStems()).filter(({ stem }) => only === undefined || only.includes(stem));
console.error(`# ${native.info().isa}, ${native.info().threads} threads, oneDNN ${native.info().onednn}`);

for (const { stem, ops } of stems) {
  t.test(stem, (t) => {
    for (const op of ops) {
      t.test(op.name, (t) => {
        t.ok(op.cases.length > 0, 'has cases');
        op.cases.forEach((one, i) => {
          if (one.bench === true) return;
          const name = caseName(one);
          if (one.refuses !== undefined) {
            const refuses = one.refuses;
            t.test(`refuses ${name}`, (t) => {
              scope(() => {
                const inputs = place(caseInputs(op, one, op.plan.types[0] as DType, i), device, op, false);
                try {
                  call(op, one, inputs, device);
                  t.fail('was accepted');
                } catch (error) {
                  t.ok(error instanceof SecateurError, String(error));
                  t.equal((error as SecateurError).code, refuses.code);
                  t.match((error as Error).message, refuses.says);
                }
              });
              t.end();
            });
            return;
          }
          t.test(name, (t) => {
            for (const dtype of one.dtypes ?? op.plan.types) checkValues(t, op, one, dtype, i);
            if (op.backward !== undefined && one.grad !== false && op.plan.types.includes('f32'))
              checkGradients(t, op, one, i);
            t.end();
          });
        });
        t.end();
      });
    }
    t.end();
  });
}
