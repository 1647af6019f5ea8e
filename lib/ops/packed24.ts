// The packed form of weights with two of every four entries, by its definition.
import { roundTo } from '../core/dtype.js';
import type { RefArray } from '../core/op.js';
import { type Shape, needShape, shapeError, showShape, sizeOf } from '../core/shape.js';

// Two of every four neighbours are kept: a weight of `rows` x `columns` becomes `values` [rows, columns / 2] and `meta`
// [rows, columns / 32], in which four bits a group of four say where its two values stood, the first below the second,
// the first group in the lowest bits: the form in which sparse tensor cores read it.
export const group = 4;
export const wordColumns = 32;

export const matrixOf = (w: Shape): readonly [number, number] => [w[0] as number, sizeOf(w.slice(1))];

/** Rows and columns of a weight that can be packed to 2:4; throws ERR_SHAPE_MISMATCH for any other. */
export function checkMatrix(op: string, w: Shape, transposed: boolean): readonly [number, number] {
  if (w.length < 2) throw shapeError(op, `shape ${showShape(w)}`, 'at least two axes');
  const [rows, columns] = matrixOf(w);
  if (columns % wordColumns !== 0 || (transposed && rows % wordColumns !== 0)) {
    throw shapeError(
      op,
      `shape ${showShape(w)}, a matrix of ${rows} x ${columns}`,
      `${transposed ? 'rows and columns' : 'columns'} in multiples of ${wordColumns}; leave this weight dense`,
    );
  }
  return [rows, columns];
}

/** Magnitude as bf16, NaN above all; ties go by position: the smaller one is dropped first. */
function ranked(values: readonly number[]): number[] {
  const size = (x: number): number => (Number.isNaN(x) ? Infinity : Math.abs(roundTo('bf16', x)));
  const nan = (x: number): number => (Number.isNaN(x) ? 1 : 0);
  return values
    .map((_, i) => i)
    .sort((i, j) => {
      const [a, b] = [values[i] as number, values[j] as number];
      const bySize = size(a) === size(b) ? 0 : size(b) - size(a);
      return nan(b) - nan(a) || bySize || j - i;
    });
}

/** Which entries stay: the two largest of each four, or of each 4 x 4 tile at most two a row and two a column, largest first. */
export function keptEntries(w: RefArray, transposed: boolean): Uint8Array {
  const [rows, columns] = matrixOf(w.shape);
  const kept = new Uint8Array(rows * columns);
  const tall = transposed ? group : 1;
  for (let r = 0; r < rows; r += tall)
    for (let c = 0; c < columns; c += group) {
      const places = Array.from(
        { length: tall * group },
        (_, i) => (r + Math.floor(i / group)) * columns + c + (i % group),
      );
      const inRow = new Uint8Array(tall);
      const inColumn = new Uint8Array(group);
      for (const i of ranked(places.map((at) => w.data[at] as number))) {
        const [y, x] = [Math.floor(i / group), i % group];
        if ((inRow[y] as number) >= 2 || (inColumn[x] as number) >= 2) continue;
        inRow[y] = (inRow[y] as number) + 1;
        inColumn[x] = (inColumn[x] as number) + 1;
        kept[places[i] as number] = 1;
      }
    }
  return kept;
}

/** Writes one row-wise packing; a group that kept fewer than two is filled up with zeros at its first free places. */
export function pack(
  rows: number,
  columns: number,
  at: (r: number, c: number) => { value: number; kept: boolean },
  values: RefArray,
  meta: RefArray,
): void {
  for (let r = 0; r < rows; r++)
    for (let word = 0; word < columns / wordColumns; word++) {
      let bits = 0;
      for (let g = 0; g < wordColumns / group; g++) {
        const c = word * wordColumns + g * group;
        const entries = [0, 1, 2, 3].map((i) => ({ i, ...at(r, c + i) }));
        const chosen = entries.filter((e) => e.kept);
        const free = entries.filter((e) => !e.kept).map((e) => ({ ...e, value: 0 }));
        const two = [...chosen, ...free.slice(0, 2 - chosen.length)].sort((a, b) => a.i - b.i);
        two.forEach(({ i, value }, k) => {
          values.data[(r * columns + c) / 2 + k] = roundTo('bf16', value);
          bits |= i << (4 * g + 2 * k);
        });
      }
      meta.data[(r * columns) / wordColumns + word] = bits;
    }
}

/** The dense weight that was packed, zeros where nothing was kept. */
export function unpack(values: RefArray, meta: RefArray): { data: Float64Array; columns: number } {
  const rows = values.shape[0] as number;
  const columns = 2 * (values.shape[1] as number);
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < values.data.length; i++) {
    const r = Math.floor(i / (columns / 2));
    const inRow = i % (columns / 2);
    const bits = meta.data[r * (columns / wordColumns) + Math.floor(inRow / 16)] as number;
    const place = (bits >> (2 * (inRow % 16))) & 3;
    data[r * columns + Math.floor(inRow / 2) * group + place] = values.data[i] as number;
  }
  return { data, columns };
}

/** Rows and columns of a packed weight, checked. */
export function packedShape(op: string, values: Shape, meta: Shape): readonly [number, number] {
  if (values.length !== 2 || (values[1] as number) % (wordColumns / 2) !== 0)
    throw shapeError(op, `values of shape ${showShape(values)}`, '[rows, columns / 2] as pack24 gives them');
  const [rows, half] = values as readonly [number, number];
  needShape(op, 'meta', meta, [rows, half / (wordColumns / 2)]);
  return [rows, 2 * half];
}
