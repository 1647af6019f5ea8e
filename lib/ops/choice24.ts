// Which product a 2:4 weight gets on the GPU: the sparse one, in which tiles, or the dense one. Sparse tensor cores win for
// some shapes and lose for others, differently on every GPU, so the answer is a table of measurements.
import { readFileSync } from 'node:fs';
import { describeDevice } from '../core/device.js';
import { SecateurError, checkOptions } from '../core/errors.js';
import { type Shape, sizeOf } from '../core/shape.js';
import type { Tensor } from '../core/tensor.js';
import { conv2d } from './conv2d.js';
import { gelu } from './gelu.js';
import { linear } from './matmul.js';
import { relu } from './relu.js';
import {
  type Conv2d24Options,
  type Linear24Options,
  type Packed24,
  type Tile24,
  conv2d24,
  linear24,
} from './sparse24.js';
import { type Pair, pairOf, slidingExtents } from './window.js';

const kinds = ['linear', 'conv2d'] as const;
const timed = ['small', 'large', 'dense'] as const;

/** A product: `outputs` x `depth` weight times `pixels` lines (or pixels) of `depth`. */
export interface Product24 {
  readonly kind: (typeof kinds)[number];
  readonly outputs: number;
  readonly pixels: number;
  readonly depth: number;
}

/** What was measured for one class of shapes: microseconds of the sparse product in either tiles, and of the dense one. */
export interface Entry24 extends Product24 {
  readonly microseconds: Readonly<Record<(typeof timed)[number], number>>;
}

/** What the file of `npm run bench -- kernels --tune FILE` holds. */
export interface Table24 {
  /** `describeDevice('cuda')` where it was measured. */
  readonly gpu: string;
  readonly entries: readonly Entry24[];
}

export interface Choice24 {
  readonly run: 'sparse' | 'dense';
  /** For the sparse product. */
  readonly tile: Tile24;
  /** False: no measurement says so, it is the default. */
  readonly measured: boolean;
  /** The class of shapes that it holds for. */
  readonly shape: string;
}

/** The class of a shape: extents rounded up to powers of two. */
export function class24({ kind, outputs, pixels, depth }: Product24): string {
  const up = (x: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, x)));
  return `${kind} ${up(outputs)} x ${up(pixels)} x ${up(depth)}`;
}

function checkTable(table: unknown, from: string): Table24 {
  const { gpu, entries } = (table ?? {}) as Partial<Table24>;
  const number = (x: unknown): boolean => typeof x === 'number' && Number.isFinite(x) && x > 0;
  const good = (e: Partial<Entry24> | null): boolean =>
    kinds.includes(e?.kind as 'linear') &&
    [e?.outputs, e?.pixels, e?.depth, ...timed.map((t) => e?.microseconds?.[t])].every(number);
  const bad = Array.isArray(entries) ? entries.findIndex((e: Entry24) => !good(e)) : 0;
  if (typeof gpu === 'string' && bad < 0) return table as Table24;
  throw new SecateurError(
    'ERR_DATA',
    `${from} is no table of 2:4 products${typeof gpu === 'string' ? ` (entry ${bad})` : ''}. Measure one: npm run bench -- kernels --tune FILE.`,
    { bad },
  );
}

/**
 * Chooses between the products that a 2:4 weight can have, and remembers what it chose. A class of shapes that was
 * measured gets the fastest of the three. One that was not gets the sparse product, in the tiles that the rule for dense
 * products takes: whoever packed the weight wanted it, and it takes half the memory.
 */
export class Choices24 {
  readonly #entries: ReadonlyMap<string, Entry24>;
  readonly #made = new Map<string, Choice24>();

  /** @throws ERR_DATA when the table is malformed or was measured on another GPU than this process has */
  constructor(table?: Table24, from = 'the table') {
    const { gpu, entries } = table === undefined ? { gpu: undefined, entries: [] } : checkTable(table, from);
    if (gpu !== undefined && gpu !== describeDevice('cuda'))
      throw new SecateurError(
        'ERR_DATA',
        `${from} was measured on ${gpu}; this is ${describeDevice('cuda')}. Measure again: npm run bench -- kernels --tune FILE.`,
        { gpu },
      );
    this.#entries = new Map(entries.map((e) => [class24(e), e]));
  }

  /** Reads a table from a JSON file. */
  static read(path: string): Choices24 {
    let table: unknown;
    try {
      table = JSON.parse(readFileSync(path, 'utf8'));
    } catch (error) {
      throw new SecateurError('ERR_DATA', `${path}: ${(error as Error).message}`, { path });
    }
    return new Choices24(table as Table24, path);
  }

  choose(product: Product24): Choice24 {
    const shape = class24(product);
    const known = this.#made.get(shape);
    if (known !== undefined) return known;
    const us = this.#entries.get(shape)?.microseconds;
    const best = us === undefined ? 'byRule' : timed.reduce((a, b) => (us[b] < us[a] ? b : a));
    const choice: Choice24 =
      best === 'dense'
        ? { run: 'dense', tile: 'byRule', measured: true, shape }
        : { run: 'sparse', tile: best, measured: us !== undefined, shape };
    this.#made.set(shape, choice);
    return choice;
  }

  /** Every choice made so far, one for each class of shapes: for reports. */
  get made(): readonly Choice24[] {
    return [...this.#made.values()];
  }
}

let ofProcess: Choices24 | undefined;

/** The choices of this process: by the table that the environment variable `SECATEUR_TABLE24` names, if it does. */
export function choices24(): Choices24 {
  const path = process.env['SECATEUR_TABLE24'];
  ofProcess ??= path === undefined || path === '' ? new Choices24() : Choices24.read(path);
  return ofProcess;
}

/** A weight in both forms: packed, and dense with the same zeros, which is asked for only where the dense product runs. */
export interface Weight24 {
  readonly packed: Packed24;
  readonly dense: () => Tensor;
}

export interface Chosen24 {
  readonly y: Tensor;
  readonly choice: Choice24;
}

interface Choosing {
  /** Default: those of the process, `choices24()`. */
  choices?: Choices24;
}

function activated(y: Tensor, activation: Linear24Options['activation']): Tensor {
  return activation === 'relu' ? relu(y) : activation === 'gelu' ? gelu(y) : y;
}

function chosen(
  x: Tensor,
  { kind, values, pixels }: { kind: Product24['kind']; values: Shape; pixels: number },
  choices: Choices24 | undefined,
): Choice24 {
  const product = { kind, outputs: values[0] as number, pixels, depth: 2 * (values[1] as number) };
  // Elsewhere there is nothing to choose: the packed weight is what there is.
  if (x.device !== 'cuda') return { run: 'sparse', tile: 'byRule', measured: false, shape: class24(product) };
  return (choices ?? choices24()).choose(product);
}

/**
 * `linear24`, or the dense layer where the table says that it is faster; `choice` says which one it was. Sums round
 * differently in the two. Without gradient.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE, ERR_OPTION; ERR_DATA for a table that does not fit
 */
export function chosenLinear24(
  x: Tensor,
  weight: Weight24,
  bias?: Tensor,
  options: Omit<Linear24Options, 'tile'> & Choosing = {},
): Chosen24 {
  checkOptions('chosenLinear24', options, ['activation', 'choices']);
  const { choices, ...rest } = options;
  const { values } = weight.packed;
  const pixels = sizeOf(x.shape.slice(0, -1));
  const choice = chosen(x, { kind: 'linear', values: values.shape, pixels }, choices);
  const y =
    choice.run === 'dense'
      ? activated(linear(x, weight.dense(), bias), rest.activation)
      : linear24(x, weight.packed, bias, { ...rest, tile: choice.tile });
  return { y, choice };
}

/**
 * `conv2d24`, or the dense convolution where the table says that it is faster. Otherwise as `chosenLinear24`.
 *
 * @throws ERR_SHAPE_MISMATCH, ERR_DTYPE, ERR_OPTION; ERR_DATA for a table that does not fit
 */
export function chosenConv2d24(
  x: Tensor,
  weight: Weight24,
  kernelSize: Pair,
  bias?: Tensor,
  options: Omit<Conv2d24Options, 'tile'> & Choosing = {},
): Chosen24 {
  checkOptions('chosenConv2d24', options, ['stride', 'padding', 'dilation', 'activation', 'choices']);
  const { choices, activation, ...window } = options;
  const { values } = weight.packed;
  const pair = (name: 'stride' | 'padding' | 'dilation', otherwise: number): readonly [number, number] =>
    pairOf('chosenConv2d24', name, window[name] ?? otherwise, name === 'padding' ? 0 : 1);
  const [height, width] = slidingExtents('chosenConv2d24', x.shape, {
    kernel: pairOf('chosenConv2d24', 'kernelSize', kernelSize, 1),
    stride: pair('stride', 1),
    padding: pair('padding', 0),
    dilation: pair('dilation', 1),
  });
  const pixels = (x.shape[0] as number) * height * width;
  const choice = chosen(x, { kind: 'conv2d', values: values.shape, pixels }, choices);
  if (choice.run === 'dense') return { y: activated(conv2d(x, weight.dense(), bias, window), activation), choice };
  const own = { ...window, ...(activation === undefined ? {} : { activation }), tile: choice.tile };
  return { y: conv2d24(x, weight.packed, kernelSize, bias, own), choice };
}
