import { SecateurError, checkOptions } from '../core/errors.js';
import { defineOp, type RefArray } from '../core/op.js';
import { run } from '../core/run.js';
import { type Shape, needShape, shapeError, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { checkSameShape } from './lossTarget.js';

export interface KlDivOptions {
  /** Softens both distributions: logits are divided by it (default 1). */
  temperature?: number;
}

const classesOf = (x: Shape): number => x[x.length - 1] as number;

function checkLogits(op: string, student: Shape, teacher: Shape): void {
  checkSameShape(op, student, teacher);
  if (student.length === 0) throw shapeError(op, 'scalars', '[..., classes]');
}

/** Log-probabilities of a row at a temperature, with its maximum and the logarithm of its sum of exponentials. */
function logRow(x: RefArray, row: number, n: number, temperature: number) {
  const z = Array.from(x.data.subarray(row * n, (row + 1) * n), (v) => v / temperature);
  const largest = z.reduce((a, b) => (b > a ? b : a), -Infinity);
  const logSum = Math.log(z.reduce((a, b) => a + Math.exp(b - largest), 0));
  return { logs: z.map((v) => v - largest - logSum), stats: [largest, logSum] };
}

export const klDivOp = defineOp({
  name: 'klDiv',
  inputs: { student: 'diff', teacher: 'const' },
  // stats: for each row the maximum and the log of the sum of exponentials, of the student and of the teacher
  outputs: { loss: 'diff', stats: 'saved' },
  attrs: { temperature: 'float' },
  outputTypes: { loss: 'f32', stats: 'f32' },
  saves: ['student', 'teacher', 'stats'],
  cast: 'widest',
  shapes({ student, teacher }, { temperature }) {
    checkLogits('klDiv', student, teacher);
    if (!(temperature > 0)) {
      throw new SecateurError('ERR_ARGUMENT', `klDiv: temperature is ${temperature}; needs a number above 0.`, {
        temperature,
      });
    }
    return { loss: [], stats: [...student.slice(0, -1), 4] };
  },
  backward: ({ saved: { student, teacher, stats }, attrs, grads: { loss: g } }) => ({
    student: (to) => run(klDivGradOp, { student, teacher, stats, g }, attrs, to).dx,
  }),
  reference({ student, teacher }, { loss, stats }, { temperature }) {
    const n = classesOf(student.shape);
    const rows = stats.data.length / 4;
    let total = 0;
    for (let r = 0; r < rows; r++) {
      const p = logRow(student, r, n, temperature);
      const q = logRow(teacher, r, n, temperature);
      stats.data.set([...p.stats, ...q.stats], 4 * r);
      // A class that the teacher rules out counts nothing, whatever the student says.
      q.logs.forEach((log, k) => {
        const weight = Math.exp(log);
        if (weight !== 0) total += weight * (log - (p.logs[k] as number));
      });
    }
    loss.data[0] = (temperature * temperature * total) / rows;
  },
  cases: [
    { inputs: { student: [5, 7], teacher: [5, 7] }, attrs: { temperature: 1 } },
    { inputs: { student: [2, 3, 33], teacher: [2, 3, 33] }, attrs: { temperature: 2.5 } },
    { inputs: { student: [9], teacher: [9] }, attrs: { temperature: 2 } },
    { inputs: { student: [2, 12007], teacher: [2, 12007] }, attrs: { temperature: 2 }, grad: false },
    {
      name: 'the mean of no rows is NaN',
      inputs: { student: [0, 4], teacher: [0, 4] },
      attrs: { temperature: 1 },
      grad: false,
    },
    {
      name: 'a class that the teacher rules out',
      inputs: {
        student: { shape: [2, 3], values: [1, 2, 3, -Infinity, 1, 2] },
        teacher: { shape: [2, 3], values: [1, -Infinity, 0, -Infinity, 0, 1] },
      },
      attrs: { temperature: 2 },
      grad: false,
    },
    {
      name: 'special values',
      inputs: { student: { shape: [2, 2], values: [1, NaN, 1, 2] }, teacher: [2, 2] },
      attrs: { temperature: 1 },
      grad: false,
    },
    {
      name: 'no temperature',
      inputs: { student: [2, 3], teacher: [2, 3] },
      attrs: { temperature: 0 },
      refuses: { code: 'ERR_ARGUMENT', says: 'temperature is 0' },
    },
    {
      name: 'other classes',
      inputs: { student: [2, 3], teacher: [2, 4] },
      attrs: { temperature: 1 },
      refuses: { code: 'ERR_SHAPE_MISMATCH', says: '[2, 3] and [2, 4]' },
    },
    { name: 'bench', inputs: { student: [4096, 1000], teacher: [4096, 1000] }, attrs: { temperature: 2 }, bench: true },
  ],
  cost: ({ student }) => ({ flops: 10 * sizeOf(student) }),
});

export const klDivGradOp = defineOp({
  name: 'klDivGrad',
  inputs: { student: 'const', teacher: 'const', stats: 'const', g: 'const' },
  outputs: { dx: 'const' },
  attrs: { temperature: 'float' },
  inputTypes: { stats: 'f32', g: 'f32' },
  shapes({ student, teacher, stats, g }) {
    checkLogits('klDivGrad', student, teacher);
    needShape('klDivGrad', 'stats', stats, [...student.slice(0, -1), 4]);
    needShape('klDivGrad', 'g', g, []);
    return { dx: student };
  },
  reference({ student, teacher, stats, g }, { dx }, { temperature }) {
    const n = classesOf(student.shape);
    const rows = stats.data.length / 4;
    const p = (x: RefArray, r: number, k: number, at: number): number =>
      Math.exp(
        (x.data[r * n + k] as number) / temperature -
          (stats.data[4 * r + at] as number) -
          (stats.data[4 * r + at + 1] as number),
      );
    for (let r = 0; r < rows; r++)
      for (let k = 0; k < n; k++)
        dx.data[r * n + k] = ((g.data[0] as number) * temperature * (p(student, r, k, 0) - p(teacher, r, k, 2))) / rows;
  },
  cases: [
    {
      inputs: { student: [5, 7], teacher: [5, 7], stats: { shape: [5, 4], draw: 'positive' }, g: [] },
      attrs: { temperature: 2 },
    },
    { inputs: { student: [0, 3], teacher: [0, 3], stats: [0, 4], g: [] }, attrs: { temperature: 1 } },
  ],
  cost: ({ student }) => ({ flops: 6 * sizeOf(student) }),
});

/**
 * Distillation loss (Hinton et al. 2015, arXiv:1503.02531): with `p = softmax(student / T)` and
 * `q = softmax(teacher / T)`, `T^2` times the mean over rows of `KL(q || p) = sum_k q_k (ln q_k - ln p_k)`. The factor
 * `T^2` keeps the size of its gradient the same at every temperature. Both inputs are logits.
 *
 * `student` and `teacher` are `[..., classes]`, f32 or bf16; the loss is an f32 scalar (NaN for no rows). A gradient for
 * `student`; the teacher gets none.
 *
 * @throws ERR_SHAPE_MISMATCH when the shapes differ, ERR_ARGUMENT for a temperature that is not above 0.
 */
export function klDiv(student: Tensor, teacher: Tensor, options: KlDivOptions = {}): Tensor {
  checkOptions('klDiv', options, ['temperature']);
  return run(klDivOp, { student, teacher }, { temperature: options.temperature ?? 1 }).loss;
}
