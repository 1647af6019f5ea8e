import type { DType } from './dtype.js';
import type { RandomState } from './random.js';
import type { Shape } from './shape.js';
import type { Tensor } from './tensor.js';

/**
 * What an op does with an input: `diff` gets a gradient, `const` never does, `inout` is overwritten.
 * Suffix `?`: may be absent; suffix `[]`: a list.
 */
export type InputKind = `${'diff' | 'const' | 'inout'}${'' | '?' | '[]'}`;
/** `diff` carries a gradient, `const` does not, `saved` is kept for backward and unseen by callers. `?`: absent in some modes. */
export type OutputKind = `${'diff' | 'const' | 'saved'}${'' | '?'}`;
/** Static arguments, part of a plan's key. A list of words is a string union. */
export type AttrKind = 'int' | 'float' | 'bool' | 'ints' | readonly string[];
/** Arguments that change from step to step, never part of a plan's key. */
export type ScalarKind = 'int' | 'float' | 'ints' | 'floats';

export type InputKinds = Readonly<Record<string, InputKind>>;
export type OutputKinds = Readonly<Record<string, OutputKind>>;
export type AttrKinds = Readonly<Record<string, AttrKind>>;
export type ScalarKinds = Readonly<Record<string, ScalarKind>>;

export type AttrValue<K> = K extends 'int' | 'float'
  ? number
  : K extends 'bool'
    ? boolean
    : K extends 'ints'
      ? readonly number[]
      : K extends readonly (infer W)[]
        ? W
        : never;
export type ScalarValue<K> = K extends 'int' | 'float' ? number : readonly number[];
export type AttrValues<A> = { readonly [K in keyof A]: AttrValue<A[K]> };
export type ScalarValues<C> = { readonly [K in keyof C]: ScalarValue<C[K]> };

type PerInput<K, Single> = K extends `${string}[]`
  ? readonly Single[]
  : K extends `${string}?`
    ? Single | undefined
    : Single;
type PerOutput<K, Single> = K extends `${string}?` ? Single | undefined : Single;

export type Inputs<I, Single> = { readonly [K in keyof I]: PerInput<I[K], Single> };
/** Inputs as a caller passes them: what may be absent may be left out. */
export type InputTensors<I> = {
  readonly [K in keyof I as I[K] extends `${string}?` ? never : K]: PerInput<I[K], Tensor>;
} & {
  readonly [K in keyof I as I[K] extends `${string}?` ? K : never]?: Tensor | undefined;
};
export type Outputs<O, Single> = { readonly [K in keyof O]: PerOutput<O[K], Single> };
export type OutputShapes<O> = {
  readonly [K in keyof O]: O[K] extends `${string}?` ? Shape | null : Shape;
};

type DiffKeys<I> = { [K in keyof I]: I[K] extends `diff${string}` ? K : never }[keyof I];
type DiffOutputs<O> = { [K in keyof O]: O[K] extends `diff${string}` ? K : never }[keyof O];

/** Where a gradient is wanted: handed on to `run`, the last op writes there; ignored, the caller moves the result. */
export interface Into {
  readonly into?: Tensor;
  readonly accumulate?: boolean;
}
/** A gradient computed only when somebody needs it. */
export type Thunk = (to: Into) => Tensor;
type ThunkFor<K> = K extends `${string}[]` ? readonly Thunk[] : Thunk;

/** What is known of a tensor without keeping it. */
export interface Like {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface BackwardContext<I, O, A, C, S extends PropertyKey> {
  readonly saved: { readonly [K in S & keyof I]: PerInput<I[K], Tensor> } & {
    readonly [K in S & keyof O]: PerOutput<O[K], Tensor>;
  };
  readonly attrs: AttrValues<A>;
  readonly scalars: ScalarValues<C>;
  readonly inputs: Inputs<I, Like>;
  /** Upstream gradients; an output nobody used has none, and then backward gets zeros. */
  readonly grads: { readonly [K in DiffOutputs<O>]: Tensor };
  readonly random: RandomState;
}

/** A tensor as `reference` sees it: doubles, whatever the dtype. */
export interface RefArray {
  readonly data: Float64Array;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** How a case fills an input. The default draws normal numbers. */
export interface CaseInput {
  readonly shape: Shape;
  readonly dtype?: DType;
  /** Row-major values; anything from NaN to -0 is welcome. */
  readonly values?: readonly number[];
  /** Draw from: normal (default), positive (0.1..2), unit (-0.9..0.9), uniform01, away (normal, 0.1 away from 0), distinct (a shuffled grid), or whole numbers below `below`. */
  readonly draw?: 'normal' | 'positive' | 'unit' | 'uniform01' | 'away' | 'distinct' | 'index';
  readonly below?: number;
}
export type CaseTensor = Shape | CaseInput;

export interface OpCase {
  readonly name?: string;
  readonly inputs: Readonly<Record<string, CaseTensor | readonly CaseTensor[] | undefined>>;
  readonly attrs?: Readonly<Record<string, unknown>>;
  readonly scalars?: Readonly<Record<string, unknown>>;
  /** False: no finite differences (the case sits on a kink or holds NaN). */
  readonly grad?: boolean;
  /** Also a row of the bench. */
  readonly bench?: boolean;
  /** Only these dtypes of T; default: all of the op's. */
  readonly dtypes?: readonly DType[];
  /** Expected to be refused with this code, and a message that holds this text. */
  readonly refuses?: { readonly code: string; readonly says: string };
}

export interface Tolerance {
  readonly f32?: number;
  readonly bf16?: number;
  readonly why: string;
}

export type TypeRule = 'T' | 'any' | DType;
export type OutTypeRule =
  | 'T'
  | DType
  | ((inputs: Readonly<Record<string, DType | undefined>>, attrs: Readonly<Record<string, unknown>>) => DType);

/** The one declaration of an op: everything else about it is derived from this and its kernels. */
export interface OpSpec<
  I extends InputKinds,
  O extends OutputKinds,
  A extends AttrKinds,
  C extends ScalarKinds,
  S extends keyof I | keyof O,
> {
  readonly name: string;
  readonly inputs: I;
  readonly outputs: O;
  readonly attrs: A;
  readonly scalars: C;
  /** Dtypes the type variable T ranges over; default f32 and bf16. */
  readonly types?: readonly DType[];
  /** Dtype of each input; default T: all inputs of rule T agree. */
  readonly inputTypes?: { readonly [K in keyof I]?: TypeRule };
  readonly outputTypes?: { readonly [K in keyof O]?: OutTypeRule };
  /** All that backward may see of inputs and outputs. */
  readonly saves: readonly S[];
  readonly shapes: (inputs: Inputs<I, Shape>, attrs: AttrValues<A>, scalars: ScalarValues<C>) => OutputShapes<O>;
  /** Absent: the op has no gradient. */
  readonly backward?: (context: BackwardContext<I, O, A, C, S>) => { readonly [K in DiffKeys<I>]: ThunkFor<I[K]> };
  /** The definition, in plain float64 loops: fills the outputs (and inouts). Shares no code with a backend. */
  readonly reference: (
    inputs: Inputs<I, RefArray>,
    outputs: Outputs<O, RefArray>,
    attrs: AttrValues<A>,
    scalars: ScalarValues<C>,
    random: RandomState,
  ) => void;
  readonly cases: readonly OpCase[];
  readonly tolerance?: Tolerance;
  /** Work of one call; default: one operation an output element, every tensor moved once. */
  readonly cost?: (
    inputs: Inputs<I, Shape>,
    outputs: Outputs<O, Shape>,
    attrs: AttrValues<A>,
  ) => { flops: number; bytes?: number };
  /** How many 32-bit random words a call uses: the op draws from the counter-based generator. */
  readonly random?: (inputs: Inputs<I, Shape>, attrs: AttrValues<A>) => number;
  /** Outputs that may take the storage of an input when the caller asks for it (`into`). */
  readonly aliases?: { readonly [K in keyof O]?: keyof I };
  /** The output is the first input's own storage seen from this element on: no kernel, nothing is copied. */
  readonly view?: (inputs: Inputs<I, Shape>, attrs: AttrValues<A>) => number;
  /** What autocast does with float inputs: to bf16, to f32, to the widest among them, or nothing (default). */
  readonly cast?: 'low' | 'f32' | 'widest';
  /** The input (a weight) that a kernel may keep a copy of in a layout of its own, until it is written to. */
  readonly layouts?: keyof I;
  /** The kernel adds to its output when asked to accumulate (else a temporary and an addition do it). */
  readonly accumulates?: boolean;
}

// What `run` needs of any op, types erased: one loop serves all.
export type AnyOp = OpSpec<InputKinds, OutputKinds, AttrKinds, ScalarKinds, string> & { readonly plan: Plan };

/** The names and kinds of an op laid out for `run`, so that a call reads arrays and not keys. */
export interface Plan {
  /** The op's number in the native table, found at first use. */
  id: number;
  readonly inputs: readonly {
    name: string;
    list: boolean;
    optional: boolean;
    diff: boolean;
    inout: boolean;
    type: TypeRule;
  }[];
  readonly outputs: readonly { name: string; optional: boolean; diff: boolean; saved: boolean; type: OutTypeRule }[];
  readonly attrs: readonly { name: string; kind: AttrKind }[];
  readonly scalars: readonly { name: string; kind: ScalarKind }[];
  readonly types: readonly DType[];
}

export type Op<
  I extends InputKinds,
  O extends OutputKinds,
  A extends AttrKinds,
  C extends ScalarKinds,
  S extends keyof I | keyof O,
> = OpSpec<I, O, A, C, S> & { readonly plan: Plan };

function planOf(spec: {
  inputs: InputKinds;
  outputs: OutputKinds;
  attrs: AttrKinds;
  scalars: ScalarKinds;
  types?: readonly DType[];
  inputTypes?: Readonly<Record<string, TypeRule | undefined>>;
  outputTypes?: Readonly<Record<string, OutTypeRule | undefined>>;
}): Plan {
  return {
    id: -1,
    inputs: Object.entries(spec.inputs).map(([name, kind]) => ({
      name,
      list: kind.endsWith('[]'),
      optional: kind.endsWith('?'),
      diff: kind.startsWith('diff'),
      inout: kind.startsWith('inout'),
      type: spec.inputTypes?.[name] ?? 'T',
    })),
    outputs: Object.entries(spec.outputs).map(([name, kind]) => ({
      name,
      optional: kind.endsWith('?'),
      diff: kind.startsWith('diff'),
      saved: kind.startsWith('saved'),
      type: spec.outputTypes?.[name] ?? 'T',
    })),
    attrs: Object.entries(spec.attrs).map(([name, kind]) => ({ name, kind })),
    scalars: Object.entries(spec.scalars).map(([name, kind]) => ({ name, kind })),
    types: spec.types ?? ['f32', 'bf16'],
  };
}

/**
 * Declares an op. From the declaration come the Tensor method, the native argument struct, the dispatch, the
 * conformance and gradient tests, the bench row and the page in docs/ops.md. `attrs`, `scalars` and `saves` may be
 * left out when there are none.
 */
export function defineOp<
  const I extends InputKinds,
  const O extends OutputKinds,
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the absence of attributes is an empty record
  const A extends AttrKinds = {},
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  const C extends ScalarKinds = {},
  const S extends keyof I | keyof O = never,
>(
  spec: Omit<OpSpec<I, O, A, C, S>, 'attrs' | 'scalars' | 'saves'> & {
    readonly attrs?: A;
    readonly scalars?: C;
    readonly saves?: readonly S[];
  },
): Op<I, O, A, C, S> {
  const attrs = spec.attrs ?? ({} as A);
  const scalars = spec.scalars ?? ({} as C);
  const plan = planOf({ ...spec, attrs, scalars } as Parameters<typeof planOf>[0]);
  return { ...spec, attrs, scalars, saves: spec.saves ?? [], plan } as unknown as Op<I, O, A, C, S>;
}
