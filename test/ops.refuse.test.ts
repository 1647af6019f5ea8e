// Bad input to every op: another device, another dtype, a disposed tensor, no tensor at all, and shapes that are off by
// an axis or an extent. Each is refused with a typed error that names the op, or is a legal call; nothing else happens.
import t from 'tap';
import { tensor } from '../lib/core/create.js';
import { type DType, dtypes } from '../lib/core/dtype.js';
import { SecateurError } from '../lib/core/errors.js';
import { scope } from '../lib/core/lifetime.js';
import { synchronize } from '../lib/core/memory.js';
import type { AnyOp, OpCase } from '../lib/core/op.js';
import { runAny } from '../lib/core/run.js';
import { uniforms } from '../lib/core/random.js';
import { sizeOf } from '../lib/core/shape.js';
import type { Tensor } from '../lib/core/tensor.js';
import '../lib/tensor.js';
import { type CaseData, caseInputs, loadStems } from './ops/specs.js';

type Values = Record<string, CaseData | CaseData[] | undefined>;
type Placed = Record<string, unknown>;

const place = (d: CaseData): Tensor => tensor(d.values, { dtype: d.dtype, shape: d.shape });
const placeAll = (values: Values): Placed =>
  Object.fromEntries(
    Object.entries(values).map(([k, d]) => [
      k,
      d === undefined ? undefined : Array.isArray(d) ? d.map(place) : place(d),
    ]),
  );

/** What became of a call: the error, or undefined where it was legal. */
function outcome(op: AnyOp, one: OpCase, inputs: Placed): unknown {
  try {
    runAny(op, inputs as never, (one.attrs ?? {}) as Record<string, unknown>, {
      scalars: (one.scalars ?? {}) as never,
    });
    synchronize();
    return undefined;
  } catch (error) {
    return error;
  }
}

const fitsIn = (one: OpCase): boolean => one.refuses === undefined && one.bench !== true;

for (const { stem, ops } of await loadStems()) {
  t.test(stem, (t) => {
    for (const op of ops) {
      const one = op.cases.find(fitsIn);
      if (one === undefined) continue;
      const T = (one.dtypes ?? op.plan.types)[0] as DType;
      const tensors = op.plan.inputs.filter((i) => !i.list && one.inputs[i.name] !== undefined);
      const refused = (what: string, code: string, inputs: Placed): void => {
        const error = outcome(op, one, inputs);
        t.ok(
          error instanceof SecateurError && error.code === code,
          `${op.name}: ${what} gives ${code}, was ${String(error)}`,
        );
        t.match((error as Error).message, op.name, `${op.name}: ${what}: the message names the op`);
      };
      scope(() => {
        const values = caseInputs(op, one, T, 1);
        for (const { name, type } of tensors) {
          const data = values[name] as CaseData;
          const with_ = (x: unknown): Placed => ({ ...placeAll(values), [name]: x });
          refused(`${name} that is a number`, 'ERR_ARGUMENT', with_(3));
          const gone = place(data);
          gone.dispose();
          refused(`${name} disposed`, 'ERR_DISPOSED', with_(gone));
          if (tensors.length > 1)
            refused(
              `${name} on another device`,
              'ERR_DEVICE',
              with_(tensor(data.values, { dtype: data.dtype, shape: data.shape, device: 'ref' })),
            );
          if (type === 'any') continue;
          const shared = op.plan.inputs.filter((i) => i.type === 'T' && one.inputs[i.name] !== undefined).length > 1;
          const wrong = dtypes.find((d) =>
            type === 'T' ? !op.plan.types.includes(d) || (shared && d !== T) : d !== type,
          );
          if (wrong === undefined) continue;
          const zeros = new Float32Array(sizeOf(data.shape));
          refused(`${name} of dtype ${wrong}`, 'ERR_DTYPE', with_(tensor(zeros, { dtype: wrong, shape: data.shape })));
        }
      });
    }
    t.end();
  });
}

t.test('shapes that are off are refused or legal, never anything else', async (t) => {
  const random = uniforms({ seed: 5, position: 0 });
  const pick = (n: number): number => Math.floor(random.next().value * n);
  /** A shape with an extent changed, an axis added or an axis taken away. */
  const bent = (shape: readonly number[]): number[] => {
    const s = [...shape];
    const at = pick(s.length + 1);
    const how = pick(4);
    if (how === 0 || s.length === 0) s.splice(at, 0, [0, 1, 2, 7][pick(4)] as number);
    else if (how === 1) s.splice(pick(s.length), 1);
    else s[pick(s.length)] = [0, 1, 3, 9][pick(4)] as number;
    return s.slice(0, 6);
  };
  const bend = (d: CaseData): CaseData => {
    const shape = bent(d.shape);
    const n = sizeOf(shape);
    return {
      ...d,
      shape,
      values: Float64Array.from({ length: n }, (_, i) => d.values[i % Math.max(1, d.values.length)] ?? 0),
    };
  };
  /** A list with its first entry bent, without its last, or with one more. */
  const bendList = (list: CaseData[]): CaseData[] => {
    const how = pick(4);
    if (how === 0) return list.slice(0, -1);
    if (how === 1) return [...list, ...list.slice(0, 1)];
    return list.map((d, i) => (i === 0 ? bend(d) : d));
  };
  let legal = 0;
  let refused = 0;
  for (const { ops } of await loadStems()) {
    for (const op of ops) {
      for (const one of op.cases.filter(fitsIn)) {
        for (let round = 0; round < 8; round++) {
          const names = Object.keys(one.inputs).filter((n) => one.inputs[n] !== undefined);
          const name = names[pick(names.length)];
          if (name === undefined) continue;
          scope(() => {
            const values = caseInputs(op, one, (one.dtypes ?? op.plan.types)[0] as DType, 1);
            const d = values[name];
            if (d === undefined) return;
            const broken = Array.isArray(d) ? bendList(d) : bend(d);
            const error = outcome(op, one, placeAll({ ...values, [name]: broken }));
            if (error === undefined) legal++;
            else if (error instanceof SecateurError) refused++;
            else t.fail(`${op.name}, ${name}: ${(error as Error).message}`);
          });
        }
      }
    }
  }
  t.ok(refused > 1000 && legal > 100, `${refused} refused, ${legal} legal`);
});
